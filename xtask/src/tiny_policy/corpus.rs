//! Supervised examples from generated problems: solving, and writing a problem to a worked solution.

use anyhow::Context;
use svs_engine::text::{ChatMessage, Tokenizer};
use svs_trainer::problems::procedural::{Computation, Generator, Rng, Split};
use svs_trainer::sft::Example;
use svs_trainer::svs::Prompts;

use super::recipe::{Corpus, Recipe};

/// Separates the stream of the corpus's own draws from the generator's.
const PURPOSE: u64 = 0x636f_7270;

/// Questions and solutions from which the tokenizer learns, of the first stage's stream.
pub(super) fn texts(recipe: &Recipe) -> Vec<String> {
    let stage = recipe.stages.first().map(|stage| &stage.corpus);
    let problems = stage.map(|corpus| Generator::with_difficulty(corpus.seed, Split::Train, corpus.difficulty()));
    let frame = recipe.prompts.solve.replace("{question}", "") + &recipe.prompts.synthesize.replace("{response}", "");
    let problems = problems.into_iter().flatten().take(recipe.tokenizer_examples);
    problems
        .flat_map(|generated| [fenced(&generated.problem.question) + &frame, generated.solution()])
        .collect()
}

/// The examples of a stage, in the order in which the generator made them.
pub(super) fn examples(corpus: &Corpus, prompts: &Prompts, tokenizer: &Tokenizer) -> anyhow::Result<Vec<Example>> {
    let mut generator = Generator::with_difficulty(corpus.seed, Split::Train, corpus.difficulty());
    let mut rng = Rng::new(corpus.seed, PURPOSE);
    let mut examples = Vec::with_capacity(corpus.examples);
    while examples.len() < corpus.examples {
        let generated = generator.next().context("the difficulty leaves no problems")?;
        let solution = if rng.chance(corpus.one_line) {
            one_line(&generated.computation)
        } else {
            generated.solution()
        };
        // A writer sees a solution and never the question; its target is another wording, drawn at random.
        let (messages, target) = if rng.chance(corpus.synthesis) {
            let (question, _) = generator.reword(&generated.computation);
            (prompts.synthesis_messages(&solution), fenced(&question))
        } else {
            let direct = corpus.direct > 0.0 && rng.chance(corpus.direct);
            let target = if direct {
                boxed(&generated.computation)
            } else {
                solution
            };
            (prompts.solve_messages(&generated.problem.question), target)
        };
        examples.push(example(tokenizer, &messages, &target)?);
    }
    Ok(examples)
}

/// The whole computation in one line, then the boxed answer.
fn one_line(computation: &Computation) -> String {
    format!(
        "{}={}\n{}",
        computation.expression(),
        computation.answer(),
        boxed(computation)
    )
}

fn boxed(computation: &Computation) -> String {
    format!("\\boxed{{{}}}", computation.answer())
}

fn fenced(question: &str) -> String {
    format!("```text\n{question}\n```")
}

fn example(tokenizer: &Tokenizer, messages: &[ChatMessage], target: &str) -> anyhow::Result<Example> {
    let prompt = tokenizer.encode_chat(messages, true)?;
    let mut target = tokenizer.encode(target, false)?;
    target.extend(tokenizer.eos_ids().first());
    Ok(Example { prompt, target })
}
