use super::*;
use crate::learn::calibrate::Prices;

/// A hundred rows: every fifth cheap answer is wrong, which the judge knows and the router guesses.
fn rows(judge_knows: bool) -> Vec<JudgedRow> {
    (0..200)
        .map(|i| {
            let right = i % 5 != 0;
            let noise = (i * 37 % 100) as f32 / 200.0;
            let knows = |clue: bool| if clue == right { 0.3 + noise } else { noise + 0.1 };
            let (judged, router) = (0.2 + noise, 0.2 + (i * 53 % 100) as f32 / 200.0);
            JudgedRow {
                pair: if i % 2 == 0 { "small".to_owned() } else { String::new() },
                judged: if judge_knows { knows(true) } else { judged },
                router,
                cheap: f32::from(u8::from(right)),
                strong: 1.0,
            }
        })
        .collect()
}

#[test]
fn a_judge_that_knows_beats_a_router_that_guesses_at_equal_spending() {
    let evaluation = evaluate_accept(&rows(true), 0.05, 0.5).unwrap();
    let all = &evaluation.all;
    assert_eq!(all.n, 200);
    assert!(all.auroc.unwrap().value > 0.7);
    let gain = all.net.gain.unwrap();
    assert!(gain.ci95[0] > 0.0, "{gain:?}");
    assert!(all.both.gain.unwrap().ci95[0] > 0.0);
    assert!((all.router.apgr.unwrap().value - 0.5).abs() < 0.15);
    assert_eq!(evaluation.by_pair.keys().collect::<Vec<_>>(), ["small", "unnamed"]);
    assert!(evaluate_accept(&[], 0.05, 0.5).is_none());
}

#[test]
fn wasted_cheap_answers_cost_the_net_what_they_cost() {
    let apgr =
        |share| evaluate_accept(&rows(true), share, 0.5).unwrap().all.net.apgr.unwrap().value;
    assert!(apgr(0.01) > apgr(0.2) + 0.02, "{} {}", apgr(0.01), apgr(0.2));
    // The router throws nothing away.
    let router = |share| evaluate_accept(&rows(true), share, 0.5).unwrap().all.router.apgr.unwrap();
    assert!((router(0.01).value - router(0.2).value).abs() < 1e-9);
}

#[test]
fn all_ways_begin_at_always_cheap_and_the_router_ends_at_always_strong() {
    let all = evaluate_accept(&rows(true), 0.1, 0.5).unwrap().all;
    for way in [&all.router, &all.net, &all.both] {
        assert!((way.quality[0] - all.always_cheap).abs() < 1e-9);
    }
    assert!((all.router.quality[10] - all.always_strong).abs() < 1e-9);
}

#[test]
fn judging_is_switched_off_where_it_does_not_pay() {
    let prices = Prices { cheap: 1.0, strong: 20.0 };
    let knows = calibrate_jointly(&rows(true), JointGoal::Quality(0.95), prices).unwrap();
    assert!(knows.pays && knows.chosen.accept_below > 0.0, "{knows:?}");
    assert!(knows.chosen.cost < knows.router_alone.cost && knows.chosen.quality >= 0.95);
    let guesses = calibrate_jointly(&rows(false), JointGoal::Quality(0.95), prices).unwrap();
    assert!(!guesses.pays && guesses.chosen.accept_below == 0.0, "{guesses:?}");
}

#[test]
fn a_budget_is_kept() {
    let prices = Prices { cheap: 1.0, strong: 20.0 };
    let found = calibrate_jointly(&rows(true), JointGoal::Budget(6.0), prices).unwrap();
    assert!(found.chosen.cost <= 6.0 && found.pays, "{found:?}");
    assert!(found.joint.quality > found.router_alone.quality);
}
