use super::super::Disagreement;
use super::super::tests::{agree, agreed, refused, statement_changes};

#[test]
fn another_order_is_refused() {
    refused(
        Disagreement::Order,
        &[
            ("What is 10 minus 5?", "What is 5 minus 10?"),
            ("Which flights go from Rome to Oslo?", "Which flights go from Oslo to Rome?"),
            ("Is a cat bigger than a fox?", "Is a fox bigger than a cat?"),
            ("Does stress cause insomnia?", "Is stress caused by insomnia?"),
            (
                "Did Sparta attack Corinth and Athens attack Thebes?",
                "Did Sparta attack Athens and Corinth attack Thebes?",
            ),
            ("convert miles to km", "convert km to miles"),
            ("Who is the father of the bride?", "Who might the bride of the father be?"),
            (
                "1 4 apples pears plums figs dates limes kiwis guavas",
                "4 1 apples pears plums figs dates limes kiwis guavas",
            ),
            ("3 4 1 2", "1 2 3 4"),
            ("why did sparta attack corinth", "for what reason did corinth attack sparta"),
            (
                "In the great war of the last century over trade, why did Sparta attack Corinth?",
                "Why did Corinth attack Sparta in the great war of the last century over trade?",
            ),
            (
                "Does the red house of Alice cost more than the green hut of Bob?",
                "Does the green hut of Bob cost more than the red house of Alice?",
            ),
            (
                "Is the capital of France larger than the port of Spain?",
                "Is the capital of Spain larger than the port of France?",
            ),
            (
                "How much money does Alice owe Bob for the old car?",
                "How much money does Bob owe Alice for the old car?",
            ),
            (
                "In a long letter about the war and the lost harvest of the year, did Sparta blame \
             Corinth for the famine in the north?",
                "In a long letter about the war and the lost harvest of the year, did Corinth blame \
             Sparta for the famine in the north?",
            ),
            (
                "Why did Sparta attack Corinth after the long war?",
                "For what reason did Corinth attack Sparta after the long war?",
            ),
        ],
    );
}

#[test]
fn who_asks_and_someone_else_do_not_change_places() {
    refused(
        Disagreement::Order,
        &[
            ("Can my landlord sue me?", "Can I sue my landlord?"),
            ("Can I be sued by my landlord?", "Can I sue my landlord?"),
            (
                "Does my landlord have the right to sue me?",
                "Do I have the right to sue my landlord?",
            ),
            ("Why does my cat bite me?", "Why do I bite my cat?"),
            ("Is my cat scared of me?", "Am I scared of my cat?"),
            ("Why is my boss angry with me?", "Why am I angry with my boss?"),
            ("Do my parents owe me money?", "Do I owe my parents money?"),
            ("How do I know if she likes me?", "How do I know if I like her?"),
            ("Does my son still need me in May?", "Do I still need my son in May?"),
            ("Does the crowd fear them?", "Do they fear the crowd?"),
            ("Can I be fired for a joke?", "Can I fire for a joke?"),
            ("can my son claim me as a dependent", "can i claim my son as a dependent"),
        ],
    );
}

#[test]
fn who_asks_may_be_named_in_other_words() {
    agreed(&[
        ("Why am I always tired?", "Why I am always tired?"),
        ("Can my landlord sue me?", "Could my landlord sue me?"),
        ("Can I be fined by my landlord?", "Can my landlord fine me?"),
        ("How do I get started with Rust?", "How do I start with Rust?"),
        ("Can I sue my landlord?", "Could I sue my landlord?"),
    ]);
}

#[test]
fn the_same_in_another_order_agrees() {
    agreed(&[
        (
            "What is the difference between tea and coffee?",
            "What is the difference between coffee and tea?",
        ),
        (
            "How do I change my Facebook profile name?",
            "How do I change my profile name in Facebook?",
        ),
        ("How is the volume of a cone determined?", "How do you determine the volume of a cone?"),
        ("Why are natural dyes important?", "Why natural dyes are important?"),
        ("Which flights go from Rome to Oslo?", "From Rome to Oslo, which flights go?"),
        ("The default value of `retries` is `NONE`.", "`retries` has `NONE` as the default value."),
        (
            "By calling fs.ls in a loop, you list all the files that a bucket of the project holds.",
            "You list all the files that a bucket of the project holds by calling fs.ls in a loop.",
        ),
        ("Version 2.1.0 does not have the page STREA.", "No, STREA has no page in version 2.1.0."),
    ]);
}

#[test]
fn order_is_weighed_of_statements_only() {
    let (a, b) = ("The cat sees the red fox.", "The fox sees the red cat.");
    assert_eq!((agree(a, b), statement_changes(a, b)), (Ok(()), [true, false]));
}
