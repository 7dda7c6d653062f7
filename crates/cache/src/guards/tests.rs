use proptest::prelude::*;

use super::*;
use crate::Embedder;

#[test]
fn what_must_agree_is_told_by_kind() {
    use Disagreement as D;
    for (a, b, kind) in [
        ("What is 15% of 80?", "What is 20% of 80?", D::Numbers),
        ("List 5 tips for sleep", "Give me seven tips for sleep", D::Numbers),
        ("What is 10 minus 5?", "What is 5 minus 10?", D::Order),
        ("How far is 10 km?", "How far is 10 miles?", D::Units),
        ("How do I convert kilograms to pounds?", "How do I convert pounds to ounces?", D::Units),
        ("Why is the sky blue?", "Why is the sky not blue?", D::Negation),
        ("Can dogs eat grapes?", "Why can't dogs eat grapes?", D::Negation),
        ("Who wrote Hamlet?", "Who wrote Macbeth?", D::Names),
        ("What does Alice owe Bob?", "What does Carol owe Bob?", D::Names),
        ("what is the capital of france", "what is the capital of spain", D::Names),
        (
            "Translate \"good morning\" into French",
            "Translate \"good night\" into French",
            D::Quotes,
        ),
        ("What does `a.pop()` do?", "What does `a.push()` do?", D::Code),
        ("Solve x^2 = 4", "Solve x^3 = 4", D::Code),
        ("Is gpt-4 better at this?", "Is gpt-5 better at this?", D::Code),
        ("What is the capital of France?", "¿Cuál es la capital de Francia?", D::Language),
        ("When was the treaty signed?", "Where was the treaty signed?", D::Question),
        ("How many people live there?", "How old are the people there?", D::Question),
        ("How are databases used?", "Why are databases used?", D::Question),
        ("Can I become a doctor?", "Should I become a doctor?", D::Question),
        ("How do I stop dreaming?", "How can I stop snoring?", D::Substitution),
        ("How did you become rich?", "How do I become rich?", D::Question),
        ("Can hummingbirds fly backwards?", "How do hummingbirds fly backwards?", D::Question),
        ("Is tea healthy?", "Is green tea healthy?", D::Substitution),
        ("What is a parser?", "What does a parser do?", D::Question),
        ("What is a parser?", "What is the best parser?", D::Question),
        ("Why do you write parsers?", "Why would one write parsers?", D::Question),
        ("Has anyone cured the flu?", "Can anyone cure the flu?", D::Question),
        ("What happened to the Whigs?", "What happens to the Whigs?", D::Question),
        ("Is it wise to lease a car?", "How wise is it to lease a car?", D::Question),
        ("What does this symbol mean?", "What is the meaning of this symbol?", D::Context),
        ("What are the advantages of tea?", "What are the disadvantages of tea?", D::Opposites),
        ("How do I gain weight?", "How do I lose weight?", D::Opposites),
        ("Is it legal to fish here?", "Is it unlawful or illegal to fish here?", D::Opposites),
        ("Which flights go from Rome to Oslo?", "Which flights go from Oslo to Rome?", D::Order),
        ("Is a cat bigger than a fox?", "Is a fox bigger than a cat?", D::Order),
        ("Does stress cause insomnia?", "Is stress caused by insomnia?", D::Order),
        (
            "Did Sparta attack Corinth and Athens attack Thebes?",
            "Did Sparta attack Athens and Corinth attack Thebes?",
            D::Order,
        ),
        ("Is the form mandatory?", "Is the form optional?", D::Opposites),
        ("Is the form not mandatory?", "Is the form not optional?", D::Opposites),
        ("Is it not possible to swim there?", "Is it possible to swim there?", D::Negation),
        ("Why dont cats swim?", "Why do cats swim?", D::Negation),
        ("How fast do 2-year-old horses run?", "How fast do 3-year-old horses run?", D::Numbers),
        (
            "What is the salary of an ML engineer?",
            "What is the salary of an HR engineer?",
            D::Names,
        ),
        ("How many hours are in 3 days?", "How many minutes do 3 days have?", D::Units),
        ("What is `cache_dir`?", "What is `cache_file`?", D::Code),
        ("convert miles to km", "convert km to miles", D::Order),
        ("Who is the father of the bride?", "Who might the bride of the father be?", D::Order),
        ("how do i cook rice", "how do i cook pasta", D::Substitution),
        ("Who was the first king?", "Who was the second king?", D::Numbers),
        ("Who was the first king of the land?", "Who was the king of the land?", D::Numbers),
        ("What does `x` mean by itself?", "What does `y` mean by itself?", D::Code),
        ("Is x^2 convex?", "Is x^22 convex?", D::Code),
        (
            "1 4 apples pears plums figs dates limes kiwis guavas",
            "4 1 apples pears plums figs dates limes kiwis guavas",
            D::Order,
        ),
        ("3 4 1 2", "1 2 3 4", D::Order),
        ("why did sparta attack corinth", "for what reason did corinth attack sparta", D::Order),
        (
            "In the great war of the last century over trade, why did Sparta attack Corinth?",
            "Why did Corinth attack Sparta in the great war of the last century over trade?",
            D::Order,
        ),
        (
            "Does the red house of Alice cost more than the green hut of Bob?",
            "Does the green hut of Bob cost more than the red house of Alice?",
            D::Order,
        ),
        (
            "Is the capital of France larger than the port of Spain?",
            "Is the capital of Spain larger than the port of France?",
            D::Order,
        ),
        (
            "How much money does Alice owe Bob for the old car?",
            "How much money does Bob owe Alice for the old car?",
            D::Order,
        ),
        (
            "In a long letter about the war and the lost harvest of the year, did Sparta blame \
             Corinth for the famine in the north?",
            "In a long letter about the war and the lost harvest of the year, did Corinth blame \
             Sparta for the famine in the north?",
            D::Order,
        ),
        (
            "Why did Sparta attack Corinth after the long war?",
            "For what reason did Corinth attack Sparta after the long war?",
            D::Order,
        ),
    ] {
        assert_eq!(agree(a, b), Err(kind), "{a} / {b}");
        assert_eq!(agree(b, a), Err(kind), "{b} / {a}");
    }
}

#[test]
fn paraphrases_agree() {
    for (a, b) in [
        ("What is the capital of France?", "what's france's capital"),
        ("How can I learn Python?", "What is the best way to learn python?"),
        ("What is 15% of 80?", "How much is 15 percent of 80?"),
        ("Why can't I sleep at night?", "Why can I not sleep at night?"),
        ("How do I boil three eggs?", "What is the way to boil 3 eggs?"),
        ("What does \"ubiquitous\" mean?", "What is the meaning of ubiquitous?"),
        ("Who was Alan Turing?", "Tell me who Alan Turing was."),
        ("Is the form not mandatory?", "Is the form optional?"),
        ("Why is it not possible to swim there?", "Why is it impossible to swim there?"),
        ("Is Mars a planet?", "Is Mars a planet? Why or why not?"),
        ("Why don't cats swim?", "Why dont cats swim?"),
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
        ("What is \"\"power\"\" in politics?", "What is power in politics?"),
        ("1. Is water wet?", "Is water wet?"),
        ("What does ML mean for a farm?", "What does Machine Learning mean for a farm?"),
        ("How do 4-digit codes work?", "How do 4 digit codes work?"),
        ("What Is The plan that Most people follow?", "What is the plan that most people follow?"),
        ("What is the default of `cache_dir`?", "What is the default of the cache dir?"),
        ("What is on the HuggingFace hub?", "What is on the Hugging Face hub?"),
        ("How do you poach eggs?", "What's the best way to poach eggs?"),
        ("Which flights go from Rome to Oslo?", "From Rome to Oslo, which flights go?"),
        ("The default value of `retries` is `NONE`.", "`retries` has `NONE` as the default value."),
        (
            "By calling fs.ls in a loop, you list all the files that a bucket of the project holds.",
            "You list all the files that a bucket of the project holds by calling fs.ls in a loop.",
        ),
        ("Version 2.1.0 does not have the page STREA.", "No, STREA has no page in version 2.1.0."),
        ("Is `io.Sink` sealed?", "Is the class `Sink` of `io` sealed?"),
        ("The hub holds models for natural language processing.", "The hub holds models for NLP."),
        (
            "The flag tells whether the nightly job of the project was finished in time or not.",
            "Whether the nightly job of the project was finished in time is told by the flag.",
        ),
        ("What Are The Benefits Of Green Tea", "What are the benefits of green tea?"),
        (
            "What does `fs.ls` return for an empty bucket?",
            "What does fs.ls return for an empty bucket?",
        ),
        (
            "Is this library useful not only for images and video but also for long audio files?",
            "Is this library useful for images and video and also for long audio files?",
        ),
    ] {
        assert_eq!(agree(a, b), Ok(()), "{a} / {b}");
    }
}

#[test]
fn order_and_a_word_are_weighed_of_statements_only() {
    let retold = |a: &str, b: &str| Facts::of(a).retold(&Facts::of(b), |_, _| false);
    let (a, b) = ("The parser drops blank lines.", "The parser keeps blank lines.");
    assert_eq!((agree(a, b), retold(a, b)), (Ok(()), [false, true]));
    let (a, b) = ("The cat sees the red fox.", "The fox sees the red cat.");
    assert_eq!((agree(a, b), retold(a, b)), (Ok(()), [true, false]));
    for (a, b) in [
        ("Define rice.", "Define pasta."),
        ("My parser drops blank lines.", "My parser keeps blank lines."),
        ("the parser drops blank lines", "the parser keeps blank lines"),
        ("Please tell of the rice.", "Please tell of the pasta."),
        ("In the rain, does the parser drop lines.", "In the rain, does the parser keep lines."),
    ] {
        assert_eq!(
            (agree(a, b), retold(a, b)),
            (Err(Disagreement::Substitution), [false; 2]),
            "{a}"
        );
    }
}

#[test]
fn another_thing_in_other_words_is_refused() {
    let embedder = Embedder::built_in().unwrap();
    let agree = |a: &str, b: &str| {
        Facts::of(a).agree(&Facts::of(b), |x, y| embedder.closeness(x, y)).is_ok()
    };
    for (a, b) in [
        ("what is the boiling time of barley", "how long should i boil chickpeas"),
        ("when should i travel to braga", "what is the best time to visit bogota"),
        ("how can i learn emacs quickly", "what is a fast way to learn jenkins"),
        ("are tourists safe in riga", "is tallinn a safe city for tourists"),
        ("which books did karl popper write", "what books were written by emmy noether"),
        ("give me a recipe for couscous", "share a recipe with thomas hobbes"),
        ("Reset the figma password.", "Please reset a password of dropbox."),
    ] {
        assert!(!agree(a, b) && !agree(b, a), "{a} / {b}");
    }
    for (a, b) in [
        ("what is the height of a giraffe", "how tall is a giraffe"),
        ("what is the boiling time of barley", "how long do i boil barley"),
        ("how can i design a web page", "what is the way to design a webpage"),
        ("Where can I buy a cheap bicycle?", "Where can one purchase cheap bikes?"),
        ("What do attorneys earn in a year?", "How much do lawyers earn in a year?"),
        ("It fetches the table.", "It downloads the list."),
    ] {
        assert!(agree(a, b) && agree(b, a), "{a} / {b}");
    }
}

proptest! {
    #[test]
    fn a_text_agrees_with_itself_and_no_text_panics(a in "\\PC{0,80}", b in "\\PC{0,80}") {
        prop_assert_eq!(agree(&a, &a), Ok(()));
        prop_assert_eq!(agree(&a, &b).is_ok(), agree(&b, &a).is_ok());
    }
}
