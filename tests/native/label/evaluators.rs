//! Every evaluator with right and wrong pairs.

use pointsman_lab::label::evaluators::sandbox::Sandbox;
use pointsman_lab::label::evaluators::{Choice, Evaluator, Pair};
use pointsman_lab::label::{ModelAnswer, Request, ToolCall};
use serde_json::{Value, json};

fn request(text: &str) -> Request {
    Request::from_recorded(json!(text)).expect("a request")
}

fn score(
    evaluator: Evaluator,
    request: &Request,
    strong: &ModelAnswer,
    cheap: &ModelAnswer,
) -> f64 {
    let sandbox = Sandbox::new();
    evaluator.check(request, strong, &sandbox).expect("the strong answer passes");
    evaluator.score(&Pair { request, strong, cheap }, &sandbox).expect("a score")
}

fn text_score(evaluator: Evaluator, request: &Request, strong: &str, cheap: &str) -> f64 {
    score(evaluator, request, &ModelAnswer::from_text(strong), &ModelAnswer::from_text(cheap))
}

fn unscorable(evaluator: Evaluator, request: &Request, strong: &str) -> bool {
    evaluator.check(request, &ModelAnswer::from_text(strong), &Sandbox::new()).is_err()
}

#[test]
fn numeric() {
    let question = request("How many?");
    let score = |a, b| text_score(Evaluator::Numeric, &question, a, b);
    assert_eq!(score("so 3 * 4 = 12.", "#### 12"), 1.0);
    assert_eq!(score("so 3 * 4 = 12.", "#### 13"), 0.0);
    assert_eq!(score("so 3 * 4 = 12.", "I do not know."), 0.0);
    assert_eq!(score("so 3 * 4 = 12.", ""), 0.0);
    assert!(unscorable(Evaluator::Numeric, &question, "I do not know."));
}

#[test]
fn choice() {
    let question = request("Which is a fruit?\nA. Stone\nB. Apple\nC. Iron\nD. Cloud\nAnswer:");
    let score = |a, b| text_score(Evaluator::Choice, &question, a, b);
    for same in [
        "B",
        "B.",
        "(B)",
        "B. Apple",
        "The answer is B.",
        "The correct answer is (B) Apple.",
        "Stones are no fruit.\n\nAnswer: **B**",
        "\\boxed{B}",
        "Apple",
        "**B) Apple**",
        "Let me think. A stone is no fruit.\nB",
    ] {
        assert_eq!(score("B", same), 1.0, "{same}");
    }
    for other in ["A", "The answer is C.", "Stone", "A stone is hard.", "I would not say.", ""] {
        assert_eq!(score("B", other), 0.0, "{other}");
    }
    assert!(unscorable(Evaluator::Choice, &question, "I cannot say."));
}

#[test]
fn exact_and_f1() {
    let question = request("Where?");
    let exact = |a, b| text_score(Evaluator::Exact, &question, a, b);
    assert_eq!(exact("The Eiffel Tower.", "eiffel tower"), 1.0);
    assert_eq!(exact("The Eiffel Tower.", "the tower of London"), 0.0);
    let f1 = |a, b| text_score(Evaluator::F1, &question, a, b);
    assert_eq!(f1("Paris", "paris!"), 1.0);
    assert_eq!(f1("in Paris", "Paris"), 1.0);
    assert!((f1("red oak chair", "red chair") - 0.8).abs() < 1e-12);
    assert_eq!(f1("Paris", "London"), 0.0);
    assert!((f1("東京都", "東京") - 0.8).abs() < 1e-12);
    assert!(
        unscorable(Evaluator::Exact, &question, "…") && unscorable(Evaluator::F1, &question, "…")
    );
}

#[test]
fn json_fields() {
    let question = request("Extract.");
    let score = |a, b| text_score(Evaluator::Json, &question, a, b);
    let strong = r#"{"name": "Ann", "age": 41, "tags": ["x", "y"]}"#;
    assert_eq!(
        score(strong, "```json\n{\"age\": 41.0, \"tags\":[\"x\",\"y\"], \"name\":\"ann\"}\n```"),
        1.0
    );
    assert_eq!(
        score(strong, "Here it is: {\"name\":\"Ann\",\"age\":41,\"tags\":[\"x\",\"y\"]} Done."),
        1.0
    );
    assert_eq!(score(strong, r#"{"name": "Ann", "age": 42, "tags": ["x", "y"]}"#), 0.375);
    assert_eq!(score(strong, r#"{"name": "Ann", "age": 41, "tags": ["x", "y"], "more": 1}"#), 0.8);
    assert_eq!(score(strong, r#"{"name": "Ann""#), 0.0);
    assert_eq!(score(strong, "{}"), 0.0);
    assert!(unscorable(Evaluator::Json, &question, "{broken"));
}

#[test]
fn json_schema() {
    let question = Request::from_recorded(json!({
        "messages": [{"role": "user", "content": "Extract."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": {
            "type": "object", "required": ["age"], "properties": {"age": {"type": "integer"}},
        }}},
    }))
    .expect("a request");
    let score = |a, b| text_score(Evaluator::Json, &question, a, b);
    assert_eq!(score(r#"{"age": 4}"#, r#"{"age": 4}"#), 1.0);
    assert_eq!(score(r#"{"age": 4}"#, r#"{"age": "4"}"#), 0.0);
    assert!(unscorable(Evaluator::Json, &question, r#"{"years": 4}"#));
}

#[test]
fn tool_call() {
    let question = Request::from_recorded(json!({
        "messages": [{"role": "user", "content": "Weather?"}],
        "tools": [{"type": "function", "function": {"name": "weather", "parameters": {
            "type": "object", "properties": {"city": {"type": "string"},
                "unit": {"type": "string", "default": "celsius"}}}}}],
    }))
    .expect("a request");
    let calls = |calls: &[(&str, Value)]| ModelAnswer {
        tool_calls: calls
            .iter()
            .map(|(name, arguments)| ToolCall {
                name: (*name).into(),
                arguments: arguments.to_string(),
            })
            .collect(),
        ..ModelAnswer::default()
    };
    let score = |a: &ModelAnswer, b: &ModelAnswer| score(Evaluator::ToolCall, &question, a, b);
    let paris = calls(&[("weather", json!({"city": "Paris"}))]);
    assert_eq!(
        score(&paris, &calls(&[("weather", json!({"unit": "celsius", "city": "paris"}))])),
        1.0
    );
    assert_eq!(score(&paris, &calls(&[("weather", json!({"city": "Rome"}))])), 0.25);
    assert_eq!(score(&paris, &calls(&[("forecast", json!({"city": "Paris"}))])), 0.0);
    assert_eq!(score(&paris, &ModelAnswer::from_text("It is sunny in Paris.")), 0.0);
    let both = |a, b| calls(&[("weather", json!({"city": a})), ("weather", json!({"city": b}))]);
    assert_eq!(score(&both("Paris", "Rome"), &both("Rome", "Paris")), 1.0);
    assert_eq!(score(&both("Paris", "Rome"), &paris), 0.0);
    let broken = ModelAnswer {
        tool_calls: vec![ToolCall { name: "weather".into(), arguments: "{city".into() }],
        ..ModelAnswer::default()
    };
    assert_eq!(score(&paris, &broken), 0.0);
}

fn has(program: &str) -> bool {
    let found = std::process::Command::new(program).arg("--version").output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "no {program}: run scripts/debian-packages.sh");
        eprintln!("skipped: {program} is not installed");
    }
    found
}

fn fenced(language: &str, source: &str) -> String {
    format!("Here you are:\n```{language}\n{source}\n```\nThat is it.")
}

#[test]
fn python_by_the_assertions_of_the_request() {
    if !has("python3") {
        return;
    }
    let question =
        request("Write a function square(n).\nassert square(3) == 9\nassert square(-2) == 4");
    let score = |a: &str, b: &str| {
        text_score(Evaluator::Code, &question, &fenced("python", a), &fenced("python", b))
    };
    let strong = "def square(n):\n    return n * n";
    assert_eq!(score(strong, "def square(number):\n    return number ** 2"), 1.0);
    assert_eq!(score(strong, "def square(n):\n    return n * 3"), 0.0);
    assert_eq!(score(strong, "def square(n):\n    return n * n +"), 0.0);
    assert_eq!(score(strong, "def square(n):\n    while True: pass"), 0.0);
}

#[test]
fn python_functions_by_derived_arguments() {
    if !has("python3") {
        return;
    }
    let question = request("Write a function that reverses a string.");
    let score = |b: &str| {
        let strong = fenced("python", "def reverse(text: str) -> str:\n    return text[::-1]");
        text_score(Evaluator::Code, &question, &strong, &fenced("python", b))
    };
    assert_eq!(score("def reverse(t):\n    return ''.join(reversed(t))"), 1.0);
    assert!(score("def reverse(text):\n    return text") < 0.8);
    assert_eq!(score("def reverse(text):\n    raise ValueError"), 0.0);
    assert!(unscorable(
        Evaluator::Code,
        &question,
        &fenced("python", "def f(x):\n  return undefined")
    ));
    assert!(unscorable(Evaluator::Code, &question, &fenced("python", "def f(:")));
}

#[test]
fn whole_programs_by_their_output() {
    if !has("python3") {
        return;
    }
    let question = request("Read two numbers and print their sum.\n\nInput:\n3 4\n\nOutput:\n7\n");
    let strong = fenced("python", "a, b = map(int, input().split())\nprint(a + b)");
    let score = |b: &str| text_score(Evaluator::Code, &question, &strong, &fenced("python", b));
    assert_eq!(score("print(sum(int(x) for x in input().split()))"), 1.0);
    assert_eq!(score("a, b = map(int, input().split())\nprint(a * b)"), 0.0);
    assert_eq!(text_score(Evaluator::Code, &question, &strong, "I would rather not."), 0.0);
}

#[test]
fn javascript() {
    if !has("node") {
        return;
    }
    let question = request("Write add.\nconsole.assert(add(1, 2) === 3);");
    let score = |b: &str| {
        let strong = fenced("js", "function add(a, b) { return a + b; }");
        text_score(Evaluator::Code, &question, &strong, &fenced("javascript", b))
    };
    assert_eq!(score("const add = (x, y) => y + x;"), 1.0);
    assert_eq!(score("function add(a, b) { return a - b; }"), 0.0);
    assert_eq!(score("function add(a, b { return a + b; }"), 0.0);
    let derived = request("Write a function that doubles a number.");
    let strong = fenced("js", "function double(x) { return 2 * x; }");
    let score = |b: &str| text_score(Evaluator::Code, &derived, &strong, &fenced("js", b));
    assert_eq!(score("const double = (n) => n * 2;"), 1.0);
    assert!(score("const double = (n) => n + 2;") < 0.5);
}

#[test]
fn rust_and_c() {
    let question = request("Print the sum of 1 to 10.");
    if has("rustc") {
        let strong = fenced("rust", "fn main() {\n    println!(\"{}\", (1..=10).sum::<i32>());\n}");
        let score = |b: &str| text_score(Evaluator::Code, &question, &strong, &fenced("rust", b));
        assert_eq!(
            score("fn main() { let mut s = 0; for i in 1..11 { s += i } println!(\"{s}\"); }"),
            1.0
        );
        assert_eq!(score("fn main() { println!(\"{}\", 54); }"), 0.0);
        assert_eq!(score("fn main() { let x: i32 = \"a\"; println!(\"{x}\"); }"), 0.0);
    }
    if has("gcc") {
        let strong =
            fenced("c", "#include <stdio.h>\nint main(void) { printf(\"%d\\n\", 55); return 0; }");
        let score = |b: &str| text_score(Evaluator::Code, &question, &strong, &fenced("c", b));
        assert_eq!(
            score(
                "#include <stdio.h>\nint main() { int s = 0; for (int i = 1; i <= 10; i++) s += i; printf(\"%d\", s); return 0; }"
            ),
            1.0
        );
        assert_eq!(score("#include <stdio.h>\nint main() { printf(\"54\"); return 0; }"), 0.0);
        assert_eq!(score("int main() { printf(\"55\" }"), 0.0);
    }
}

#[test]
fn sql_on_given_rows() {
    let question = request(
        "CREATE TABLE staff (id INTEGER PRIMARY KEY, name TEXT, pay INTEGER);\n\
         INSERT INTO staff VALUES (1, 'Ann', 50), (2, 'Bob', 40), (3, 'Cy', 60);\n\
         Who earns more than 45?",
    );
    let score = |a, b| text_score(Evaluator::Sql, &question, a, b);
    let strong = "```sql\nSELECT name FROM staff WHERE pay > 45;\n```";
    assert_eq!(
        score(strong, "SELECT s.name AS who FROM staff s WHERE NOT pay <= 45 ORDER BY pay DESC"),
        1.0
    );
    assert_eq!(score(strong, "SELECT name FROM staff WHERE pay > 55"), 0.0);
    assert_eq!(score(strong, "SELECT wrong FROM staff"), 0.0);
    assert_eq!(score(strong, "DELETE FROM staff"), 0.0);
    let ordered = "SELECT name FROM staff ORDER BY pay";
    assert_eq!(score(ordered, "SELECT name FROM staff ORDER BY pay ASC"), 1.0);
    assert_eq!(score(ordered, "SELECT name FROM staff ORDER BY pay DESC"), 0.0);
    assert_eq!(score(ordered, "SELECT name FROM staff ORDER BY name, pay"), 0.0);
    assert!(unscorable(Evaluator::Sql, &question, "SELECT wrong FROM staff"));
    assert!(unscorable(Evaluator::Sql, &request("Who earns most?"), "SELECT 1"));
}

#[test]
fn sql_on_made_up_rows() {
    let question = request(
        "CREATE TABLE dept (id INT PRIMARY KEY, name VARCHAR(20)); \
         CREATE TABLE emp (id INT AUTO_INCREMENT PRIMARY KEY, dept_id INT, salary DECIMAL(8,2), hired DATE);\n\
         Average salary of each department hired since 2023?",
    );
    let score = |b| {
        let strong = "SELECT d.name, AVG(e.salary) FROM emp e JOIN dept d ON d.id = e.dept_id WHERE e.hired >= '2023-01-01' GROUP BY d.id";
        text_score(Evaluator::Sql, &question, strong, b)
    };
    assert_eq!(
        score(
            "SELECT dept.name, SUM(salary) / COUNT(salary) FROM dept, emp WHERE dept.id = dept_id AND hired >= '2023-01-01' GROUP BY dept.id"
        ),
        1.0
    );
    assert_eq!(
        score(
            "SELECT d.name, AVG(e.salary) FROM emp e JOIN dept d ON d.id = e.dept_id GROUP BY d.id"
        ),
        0.0
    );
    assert_eq!(
        score(
            "SELECT d.name, MAX(e.salary) FROM emp e JOIN dept d ON d.id = e.dept_id WHERE e.hired >= '2023-01-01' GROUP BY d.id"
        ),
        0.0
    );
    assert_eq!(score("I would join the two tables."), 0.0);
}

#[test]
fn auto_picks_by_request_and_answer() {
    let pick = |request: &Request, strong: &str, judged| {
        Evaluator::select(Choice::Auto, request, &ModelAnswer::from_text(strong), judged)
    };
    for (question, strong, evaluator) in [
        ("How many eggs are left?", "She has 16 - 7 = 9 eggs.", Evaluator::Numeric),
        ("Solve.", "So \\boxed{4}.", Evaluator::Numeric),
        ("Which?\nA. x\nB. y", "The answer is B.", Evaluator::Choice),
        ("Extract.", "```json\n{\"a\": 1}\n```", Evaluator::Json),
        ("Write it.", "```python\nprint(1)\n```", Evaluator::Code),
        ("CREATE TABLE t (a INT);\nAll?", "SELECT a FROM t", Evaluator::Sql),
        ("Capital of France?", "Paris", Evaluator::F1),
    ] {
        assert_eq!(pick(&request(question), strong, false), Ok(evaluator), "{question}");
    }
    let open = request("Tell me about the sea.");
    let answer = "The sea is wide and deep and blue.";
    assert!(pick(&open, answer, false).is_err());
    assert_eq!(pick(&open, answer, true), Ok(Evaluator::Judge));
}
