//! Supervised examples from generated problems: solving, and writing a problem to a worked solution.

use anyhow::Context;
use svs_engine::text::{ChatMessage, Tokenizer};
use svs_trainer::problems::procedural::{Computation, Generator, Rng, Split};
use svs_trainer::sft::Example;

use super::recipe::Recipe;

/// Separates the stream of the corpus's own draws from the generator's.
const PURPOSE: u64 = 0x636f_7270;

/// Questions and solutions from which the tokenizer learns.
pub(super) fn texts(recipe: &Recipe) -> Vec<String> {
    let problems = Generator::with_difficulty(recipe.seed, Split::Train, recipe.corpus.difficulty());
    let frame = recipe.prompts.solve.replace("{question}", "") + &recipe.prompts.synthesize.replace("{response}", "");
    problems
        .take(recipe.corpus.tokenizer_examples)
        .flat_map(|generated| [fenced(&generated.problem.question) + &frame, generated.solution()])
        .collect()
}

/// The examples, in the order in which the generator made them.
pub(super) fn examples(recipe: &Recipe, tokenizer: &Tokenizer) -> anyhow::Result<Vec<Example>> {
    let corpus = &recipe.corpus;
    let mut generator = Generator::with_difficulty(recipe.seed, Split::Train, corpus.difficulty());
    let mut rng = Rng::new(recipe.seed, PURPOSE);
    let mut examples = Vec::with_capacity(corpus.examples);
    while examples.len() < corpus.examples {
        let generated = generator.next().context("the difficulty leaves no problems")?;
        let solution = generated.solution();
        // A writer sees a worked solution and never the question; its target is another wording, drawn at random.
        let (messages, target) = if rng.chance(corpus.synthesis) {
            let (question, _) = generator.reword(&generated.computation);
            (recipe.prompts.synthesis_messages(&solution), fenced(&question))
        } else {
            let answer = if rng.chance(corpus.direct) {
                direct(&generated.computation)
            } else {
                solution
            };
            (recipe.prompts.solve_messages(&generated.problem.question), answer)
        };
        examples.push(example(tokenizer, &messages, &target)?);
    }
    Ok(examples)
}

/// The boxed answer and nothing else.
fn direct(computation: &Computation) -> String {
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
