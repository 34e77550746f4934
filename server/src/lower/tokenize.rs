//! `POST /tokenize`, `POST /detokenize`: texts and chats to tokens and back.

use svs_openapi::tokenize::{Counts, DetokenizeRequest, Detokenized, TokenTexts, TokenizeRequest, Tokenized};
use svs_openapi::{TextOrList, TokenIds};

use super::messages::{bytes, messages};
use super::plan::few;
use super::room::Room;
use super::sampling::outside;
use crate::app::App;
use crate::error::ApiError;

/// Encodes what is asked.
///
/// # Errors
/// The refusal of the first bad field.
pub fn tokenize(app: &App, request: TokenizeRequest) -> Result<Tokenized, ApiError> {
    app.check_model(request.model.as_deref())?;
    let tokens = match (request.prompt, request.messages) {
        (Some(_), Some(_)) => return Err(ApiError::value("messages", "give `prompt` or `messages`, not both")),
        (None, None) => {
            let message = "`prompt` or `messages` is required";
            return Err(ApiError::invalid("prompt", "missing_parameter", message));
        }
        (Some(_), None) if request.add_generation_prompt.is_some() => {
            return Err(ApiError::value("add_generation_prompt", "is for `messages`"));
        }
        (Some(prompt), None) => {
            let opening = request.add_special_tokens.unwrap_or(true);
            let encode = |text: &String| {
                Room::of(app).admit(app, "prompt", text.len())?;
                Ok(app.engine.tokenizer().encode(text, opening)?)
            };
            match prompt {
                TextOrList::One(text) => TokenIds::One(encode(&text)?),
                TextOrList::Many(texts) => {
                    few((app.config.max_prompts, "server.max_prompts"), "prompt", texts.len())?;
                    TokenIds::Many(texts.iter().map(encode).collect::<Result<_, ApiError>>()?)
                }
            }
        }
        (None, Some(chat)) => {
            let chat = messages(chat)?;
            Room::of(app).admit(app, "messages", bytes(&chat, &[]))?;
            let text = app
                .engine
                .tokenizer()
                .render_chat(&chat, &[], request.add_generation_prompt.unwrap_or(true))?;
            Room::of(app).admit(app, "messages", text.len())?;
            let opening = request.add_special_tokens.unwrap_or(false);
            TokenIds::One(app.engine.tokenizer().encode(&text, opening)?)
        }
    };
    let texts = request.return_token_strs.unwrap_or(false);
    Ok(Tokenized {
        count: match &tokens {
            TokenIds::One(tokens) => Counts::One(tokens.len()),
            TokenIds::Many(lists) => Counts::Many(lists.iter().map(Vec::len).collect()),
        },
        max_model_len: app.engine.max_model_len(),
        token_strs: texts.then(|| texts_of(app, &tokens)),
        tokens,
    })
}

fn texts_of(app: &App, tokens: &TokenIds) -> TokenTexts {
    let text = |token: &u32| app.engine.tokenizer().token_text(*token).0;
    let texts = |tokens: &Vec<u32>| tokens.iter().map(text).collect::<Vec<_>>();
    match tokens {
        TokenIds::One(tokens) => TokenTexts::One(texts(tokens)),
        TokenIds::Many(lists) => TokenTexts::Many(lists.iter().map(texts).collect()),
    }
}

/// Decodes what is asked.
///
/// # Errors
/// The refusal of the first bad field.
pub fn detokenize(app: &App, request: DetokenizeRequest) -> Result<Detokenized, ApiError> {
    app.check_model(request.model.as_deref())?;
    let (tokenizer, vocab_size) = (app.engine.tokenizer(), app.engine.model().vocab_size);
    let decode = |tokens: &Vec<u32>| {
        if let Some(token) = tokens.iter().find(|token| **token as usize >= vocab_size) {
            return Err(ApiError::value("tokens", outside(*token, vocab_size)));
        }
        Ok(tokenizer.decode(tokens, request.skip_special_tokens.unwrap_or(false))?)
    };
    let text = match &request.tokens {
        TokenIds::One(tokens) => TextOrList::One(decode(tokens)?),
        TokenIds::Many(lists) => {
            few((app.config.max_prompts, "server.max_prompts"), "tokens", lists.len())?;
            TextOrList::Many(lists.iter().map(decode).collect::<Result<_, ApiError>>()?)
        }
    };
    Ok(Detokenized {
        prompt: text.clone(),
        text,
    })
}
