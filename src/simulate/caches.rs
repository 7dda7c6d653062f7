//! One cache a target behind a router, request by request.

/// What can be asked: questions, each in one or several wordings, and which stored answers the
/// semantic cache gives for which wording.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wordings {
    /// The question of each wording.
    pub question: Vec<usize>,
    /// The wordings of each question; the first is the commonest.
    pub of_question: Vec<Vec<usize>>,
    /// For each wording the other wordings whose answer serves it when it is stored, best first.
    pub served_by: Vec<Vec<usize>>,
}

/// One request to a router with caches behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Asked {
    /// Seconds from the start.
    pub at: f64,
    pub wording: usize,
}

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// The same wording was stored, or on its way: the cache asks once.
    Exact,
    /// Another wording of the same question was stored.
    Semantic,
    /// Another question's answer was stored and taken for this one's.
    False,
    /// The model.
    Model,
}

/// A request with its answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Served {
    pub target: usize,
    pub from: From,
    /// The question that was answered.
    pub question: usize,
}

/// Plays requests against one cache a target. `route` gives the target of a request, `seconds` how
/// long that target's model takes to answer it; both take the request's place.
///
/// As the cache does: what the model answers is stored when it is complete, under its wording; a
/// hit stores nothing.
pub fn serve(
    asked: &[Asked],
    wordings: &Wordings,
    route: impl Fn(usize) -> usize,
    seconds: impl Fn(usize, usize) -> f64,
) -> Vec<Served> {
    // When the answer to each wording is complete.
    let mut stored = [0, 1].map(|_| vec![f64::INFINITY; wordings.question.len()]);
    let serve = |(place, request): (usize, &Asked)| {
        let target = route(place);
        let complete = &mut stored[target];
        let question = wordings.question[request.wording];
        if complete[request.wording] < f64::INFINITY {
            return Served { target, from: From::Exact, question };
        }
        let near = &wordings.served_by[request.wording];
        if let Some(&other) = near.iter().find(|&&other| complete[other] <= request.at) {
            let answered = wordings.question[other];
            let from = if answered == question { From::Semantic } else { From::False };
            return Served { target, from, question: answered };
        }
        complete[request.wording] = request.at + seconds(place, target);
        Served { target, from: From::Model, question }
    };
    asked.iter().enumerate().map(serve).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wordings 0 and 1 of question 0, wording 2 of question 1; 1 and 2 look alike.
    fn wordings() -> Wordings {
        Wordings {
            question: vec![0, 0, 1],
            of_question: vec![vec![0, 1], vec![2]],
            served_by: vec![vec![1], vec![0, 2], vec![1]],
        }
    }

    fn play(order: &[(f64, usize, usize)]) -> Vec<From> {
        let asked: Vec<Asked> =
            order.iter().map(|&(at, wording, _)| Asked { at, wording }).collect();
        let served = serve(&asked, &wordings(), |place| order[place].2, |_, _| 5.0);
        served.iter().map(|served| served.from).collect()
    }

    #[test]
    fn each_target_answers_from_its_own_cache() {
        let from = play(&[(0.0, 0, 0), (10.0, 0, 1), (20.0, 0, 0), (30.0, 1, 1)]);
        assert_eq!(from, [From::Model, From::Model, From::Exact, From::Semantic]);
    }

    #[test]
    fn an_answer_on_its_way_serves_the_same_wording_only() {
        let from = play(&[(0.0, 0, 0), (1.0, 0, 0), (2.0, 1, 0), (9.0, 1, 0)]);
        assert_eq!(from, [From::Model, From::Exact, From::Model, From::Exact]);
    }

    #[test]
    fn an_answer_to_another_question_is_a_false_hit() {
        assert_eq!(play(&[(0.0, 2, 0), (9.0, 1, 0)]), [From::Model, From::False]);
    }
}
