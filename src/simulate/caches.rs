//! One cache per target behind a router, request by request.

use pointsman_cache::tiers::CANDIDATES;

/// What can be asked: questions, each in one or several wordings, and how the cache compares them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wordings {
    /// The question of each wording.
    pub question: Vec<usize>,
    /// The wordings of each question; the first is the commonest.
    pub of_question: Vec<Vec<usize>>,
    /// For each wording the first one of the same exact key: itself unless texts are repeated.
    pub key: Vec<usize>,
    /// For each wording the others that lie near to it, nearest first.
    pub near: Vec<Vec<Near>>,
}

/// Another wording that the semantic cache would look at, were it stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Near {
    pub wording: usize,
    /// Whether similarity and guards let its answer serve.
    pub serves: bool,
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

/// Plays requests against one cache per target. `route` gives the target of a request, `seconds` how
/// long that target's model takes to answer it; both take the request's place.
///
/// As the cache does: what the model answers is stored when it is complete, under its wording; the
/// first that serves of the few nearest that are stored answers; a hit stores nothing.
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
        let key = wordings.key[request.wording];
        if complete[key] < f64::INFINITY {
            return Served { target, from: From::Exact, question };
        }
        let near = wordings.near[request.wording].iter();
        let mut stored = near.filter(|near| complete[near.wording] <= request.at).take(CANDIDATES);
        if let Some(other) = stored.find(|near| near.serves) {
            let answered = wordings.question[other.wording];
            let from = if answered == question { From::Semantic } else { From::False };
            return Served { target, from, question: answered };
        }
        complete[key] = request.at + seconds(place, target);
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
            key: vec![0, 1, 2],
            near: vec![vec![near(1)], vec![near(0), near(2)], vec![near(1)]],
        }
    }

    fn near(wording: usize) -> Near {
        Near { wording, serves: true }
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

    #[test]
    fn only_the_nearest_few_that_are_stored_are_looked_at() {
        let count = CANDIDATES + 2;
        let refused = |wording| Near { wording, serves: false };
        let mut of_last: Vec<Near> = (0..CANDIDATES).map(refused).collect();
        of_last.push(near(CANDIDATES));
        let mut wordings = Wordings {
            question: (0..count).collect(),
            of_question: (0..count).map(|question| vec![question]).collect(),
            key: (0..count).collect(),
            near: vec![Vec::new(); count],
        };
        wordings.near[count - 1] = of_last;
        let last = |first: usize| {
            let asked: Vec<Asked> =
                (first..count).map(|wording| Asked { at: 9.0 * wording as f64, wording }).collect();
            serve(&asked, &wordings, |_| 0, |_, _| 5.0).last().unwrap().from
        };
        assert_eq!((last(0), last(1)), (From::Model, From::False));
    }
}
