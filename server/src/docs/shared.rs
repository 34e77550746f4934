//! What every route may answer because of what surrounds it: keys, origins, how bodies and queries are read.

use axum::http::Method;
use serde_json::Value;
use utoipa::Modify;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, ObjectBuilder, OpenApi, Ref, RefOr, Response, Schema};

use crate::http::access::Access;
use crate::http::body::no_ops::{CHAT, SHARED};
use crate::http::routes::accesses;

/// The keys: name in the document, what it is.
const API_KEY: (&str, &str) = (
    "api_key",
    "`server.api_key`. Where none is set nothing is asked for, but by routes that want the admin key.",
);
const ADMIN_KEY: (&str, &str) = (
    "admin_key",
    "`server.admin_api_key`, which opens everything but the routes of a session. Where none is set the API key does.",
);
const SESSION_KEY: (&str, &str) = ("session_key", "The key of a session, from `/rl/start_session`.");
const GUARDED: [(&str, &str); 2] = [
    ("401", "The API key is missing or wrong."),
    (
        "403",
        "The request comes from a page of another origin (`foreign_origin`), names another host than this machine (`foreign_host`), \
         or has a key that does not open this route.",
    ),
];
const READ: (&str, &str) = ("400", "The request is refused; `param` names the field at fault.");
const BODY: [(&str, &str); 4] = [
    READ,
    ("408", "The body did not arrive in time."),
    ("413", "The body is too large."),
    (
        "415",
        "The body is not `application/json`, or it has a `Content-Encoding`.",
    ),
];

/// Routes that may answer with server-sent events.
const STREAMED: [&str; 6] = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/v1/fine_tuning/jobs/{id}/events",
    "/generate",
    "/inference/v1/generate",
];

/// Adds them where a handler does not say them itself.
pub(super) struct Shared;

/// Where either a list or a list of lists fits, an empty list is the former: the latter has one at least, so that only one of
/// both fits.
fn lists_of_several(document: &mut OpenApi) {
    let schemas = document
        .components
        .iter_mut()
        .flat_map(|components| components.schemas.values_mut());
    for schema in schemas {
        let RefOr::T(Schema::OneOf(shapes)) = schema else {
            continue;
        };
        let lists = shapes.items.iter_mut().filter_map(|shape| match shape {
            RefOr::T(Schema::Array(list)) => Some(list),
            _ => None,
        });
        for several in lists.skip(1) {
            several.min_items = Some(1);
        }
    }
}

/// Adds the fields that may only ask for nothing to the requests that may have them.
fn no_ops(document: &mut OpenApi) {
    let schemas = document.components.iter_mut().map(|components| &mut components.schemas);
    for schemas in schemas {
        for (name, tables) in [
            ("ChatCompletionRequest", &[&SHARED[..], &CHAT][..]),
            ("CompletionRequest", &[&SHARED]),
            ("ResponsesRequest", &[&SHARED]),
        ] {
            let Some(RefOr::T(Schema::Object(request))) = schemas.get_mut(name) else {
                continue;
            };
            for row in tables.iter().copied().flatten() {
                let values = ObjectBuilder::new()
                    .schema_type(SchemaType::AnyValue)
                    .enum_values(Some(row.allowed().chain([Value::Null])))
                    .description(Some(row.note));
                request.properties.insert(row.field.to_owned(), values.into());
            }
        }
    }
}

impl Modify for Shared {
    fn modify(&self, document: &mut OpenApi) {
        lists_of_several(document);
        no_ops(document);
        keys(document);
        let accesses = accesses();
        for (path, item) in &mut document.paths.paths {
            let access = accesses.get(path).copied();
            let operations = [
                (Method::GET, &mut item.get),
                (Method::POST, &mut item.post),
                (Method::PATCH, &mut item.patch),
                (Method::DELETE, &mut item.delete),
            ];
            for (method, operation) in operations {
                let Some(operation) = operation else { continue };
                operation.security = access.map(|access| security(access.of(&method)));
                if STREAMED.contains(&path.as_str()) {
                    streamed(operation);
                }
                if access != Some(Access::Open) {
                    add(operation, &GUARDED);
                }
                let mut parameters = operation.parameters.iter().flatten();
                if parameters.any(|parameter| parameter.parameter_in == ParameterIn::Query) {
                    add(operation, &[READ]);
                }
                if operation.request_body.is_some() {
                    add(operation, &BODY);
                }
            }
        }
    }
}

/// Says which keys there are.
fn keys(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    for (name, description) in [API_KEY, ADMIN_KEY, SESSION_KEY] {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(description));
        components.add_security_scheme(name, SecurityScheme::Http(bearer.build()));
    }
}

/// Which keys open a route: any one of them.
fn security(access: Access) -> Vec<SecurityRequirement> {
    let keys: &[(&str, &str)] = match access {
        Access::Open => &[],
        Access::Key | Access::Starter => &[API_KEY, ADMIN_KEY],
        Access::KeyOrSession => &[API_KEY, ADMIN_KEY, SESSION_KEY],
        Access::Session => &[SESSION_KEY],
        Access::Stored | Access::Admin => &[ADMIN_KEY],
    };
    let alone = |(name, _): &(&str, &str)| SecurityRequirement::new(*name, [""; 0]);
    keys.iter().map(alone).collect()
}

/// Says that a successful answer may be a stream of events.
fn streamed(operation: &mut Operation) {
    if let Some(RefOr::T(response)) = operation.responses.responses.get_mut("200") {
        let events = || Content::new(None::<RefOr<Schema>>);
        response
            .content
            .entry("text/event-stream".to_owned())
            .or_insert_with(events);
    }
}

fn add(operation: &mut Operation, responses: &[(&str, &str)]) {
    let error = || Content::new(Some(RefOr::Ref(Ref::from_schema_name("ErrorResponse"))));
    for (status, description) in responses {
        let known = &mut operation.responses.responses;
        known.entry((*status).to_owned()).or_insert_with(|| {
            let mut response = Response::new(*description);
            response.content.insert("application/json".to_owned(), error());
            RefOr::T(response)
        });
    }
}
