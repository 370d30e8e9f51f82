//! Makes the OpenAPI document from the table of routes and the types of requests and answers. Only this test runs it:
//! a service has the finished document, and needs no crate that makes schemas.

use std::{collections::BTreeMap, env, fs, path::PathBuf};

use schemars::{Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use tower_api_keys::manage::{self, ExportFormat, KeyFlag};

use crate::{
    problem::StoppedHalfWay,
    routes::all,
    table::{AnswerKind, Form, Header, Param, Route},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

const ABOUT: &str = "Manages API keys. Errors are problem documents (RFC 9457). What you may not see is answered as if it \
                     did not exist. Ignore unknown members of answers: new ones may come. Unknown members of requests \
                     are refused.";

/// The document, and the schemas that it has collected so far. Requests and answers have schemas of their own: a member
/// with a default can be absent from a request, and is always in an answer.
struct Document {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
    paths: BTreeMap<&'static str, Map<String, Value>>,
    responses: BTreeMap<&'static str, Value>,
}

impl Default for Document {
    fn default() -> Self {
        Self {
            requests: generator(SchemaSettings::draft2020_12().for_deserialize()),
            answers: generator(SchemaSettings::draft2020_12().for_serialize()),
            paths: BTreeMap::new(),
            responses: BTreeMap::new(),
        }
    }
}

fn generator(settings: SchemaSettings) -> SchemaGenerator {
    let settings = settings.with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    settings.into_generator()
}

fn document() -> Value {
    let mut document = Document::default();
    let problem = document.answers.subschema_for::<manage::Problem>();
    let stopped = document.answers.subschema_for::<StoppedHalfWay>();
    for route in all() {
        let operation = document.operation(route, &problem, &stopped);
        let method = route.method.as_str().to_lowercase();
        document.paths.entry(route.path).or_default().insert(method, operation);
    }
    let mut schemas = document.answers.take_definitions(true);
    for (name, mut schema) in document.requests.take_definitions(true) {
        // An absent member is not a null one, which most members do not take.
        let members = schema.get_mut("properties").and_then(Value::as_object_mut);
        for (_, member) in members.into_iter().flatten() {
            if let Some(member) = member.as_object_mut().filter(|member| member.get("default") == Some(&Value::Null)) {
                member.remove("default");
            }
        }
        let was = schemas.entry(&name).or_insert_with(|| schema.clone());
        assert_eq!(*was, schema, "{name} differs in requests and answers: give one of them another name");
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "API keys",
            "version": VERSION,
            "description": ABOUT,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": ".", "description": "The path at which the service has mounted the routes." }],
        "paths": document.paths,
        "components": { "responses": document.responses, "schemas": schemas },
    })
}

impl Document {
    fn operation(&mut self, route: &Route, problem: &Schema, stopped: &Schema) -> Value {
        let mut operation = json!({
            "operationId": route.id,
            "summary": route.about,
            "tags": [route.path.split('/').nth(1)],
            "parameters": parameters(route),
            "responses": self.responses(route, problem, stopped),
        });
        if let Some(body) = &route.body {
            let schema = (body.shape.schema)(&mut self.requests);
            let content = json!({ "application/json": { "schema": schema } });
            // Without a body, its type has to be named all the same, and few clients can do that.
            operation["requestBody"] = json!({ "required": true, "content": content });
            if !body.required {
                operation["requestBody"]["description"] = "Send at least `{}`.".into();
            }
        }
        operation
    }

    fn responses(&mut self, route: &Route, problem: &Schema, stopped: &Schema) -> Value {
        let mut responses = Map::new();
        responses.insert(route.ok.status.to_string(), self.success(route));
        for (status, codes) in errors(route) {
            let has_more = route.id == "revokeMany";
            let error = if has_more { json!({ "anyOf": [problem, stopped] }) } else { json!(problem) };
            let schema = json!({ "allOf": [error, { "properties": { "code": { "enum": codes } } }] });
            let said: Vec<_> = codes.iter().map(|code| format!("`{code}`")).collect();
            let about = format!("{}.", said.join(", "));
            let content = json!({ manage::Problem::MEDIA_TYPE: { "schema": schema } });
            let mut response = json!({ "description": about, "content": content });
            if [429, 503].contains(&status) {
                let about = "After how many seconds to try again, where that can help.";
                response["headers"] =
                    json!({ "Retry-After": { "description": about, "schema": { "type": "integer" } } });
            }
            // Exports have a code of their own.
            let is_own = has_more || route.errors.iter().any(|(own, _)| *own == status && status == 403);
            if let Some(name) = shared(status).filter(|_| !is_own) {
                let was = self.responses.entry(name).or_insert_with(|| response.clone());
                assert_eq!(*was, response, "{} has other codes of {status} than the routes before it", route.id);
                response = json!({ "$ref": format!("#/components/responses/{name}") });
            }
            responses.insert(status.to_string(), response);
        }
        responses.into()
    }

    fn success(&mut self, route: &Route) -> Value {
        let text = |about: &str| json!({ "description": about, "schema": { "type": "string" } });
        match &route.ok.kind {
            AnswerKind::Export => {
                let types = [ExportFormat::Csv, ExportFormat::JsonLines].map(ExportFormat::media_type);
                let file = |name: &&str| ((*name).to_owned(), json!({ "schema": { "type": "string" } }));
                let content: Map<String, Value> = types.iter().map(file).collect();
                let headers = json!({ "Content-Disposition": text("The name of the file.") });
                json!({ "description": "The file.", "headers": headers, "content": content })
            }
            AnswerKind::Json { shape, has_etag } => {
                let schema = (shape.schema)(&mut self.answers);
                let mut answer = json!({
                    "description": "Done.",
                    "content": { "application/json": { "schema": schema } },
                });
                if *has_etag {
                    answer["headers"] = json!({ "ETag": text("The version of the key, for `If-Match`.") });
                }
                if route.query.iter().copied().flatten().any(|param| param.name == "after")
                    && route.id != "summarizeInventory"
                {
                    answer["headers"] = json!({ "Link": text("The next page, if there is one: `<…>; rel=\"next\"`.") });
                }
                if route.ok.status == 201 {
                    answer["headers"] = json!({ "Location": text("The path of the key.") });
                    let link =
                        |id: &str| json!({ "operationId": id, "parameters": { "key": "$response.body#/key/id" } });
                    let ids = ["getKey", "editKey", "pauseKey", "revokeKey", "beginRotation", "getUsage"];
                    answer["links"] = ids.map(|id| (id.to_owned(), link(id))).into_iter().collect::<Map<_, _>>().into();
                }
                answer
            }
        }
    }
}

/// The codes of 403 and of 503: those of the manager. A test of the core reads them in the finished document.
const DENIALS: [&str; 16] = [
    "denied",
    "expiry_too_late",
    "insufficient_role",
    "insufficient_scope",
    "key_expired",
    "key_paused",
    "key_revoked",
    "limits_too_wide",
    "networks_too_wide",
    "not_for_keys",
    "not_your_key",
    "owner_closed",
    "owner_plan_suspended",
    "owner_suspended",
    "plan_required",
    "scopes_too_wide",
];
const UNAVAILABLE: [&str; 11] = [
    "clock_unsure",
    "corrupt_record",
    "directory_incomplete",
    "directory_unavailable",
    "hash_failed",
    "outcome_unknown",
    "overloaded",
    "pepper_missing",
    "randomness",
    "starved",
    "store_unavailable",
];

/// The name of the answer that all routes with this status share.
fn shared(status: u16) -> Option<&'static str> {
    Some(match status {
        403 => "Denied",
        404 => "NotFound",
        413 => "BodyTooLarge",
        415 => "UnsupportedMediaType",
        500 => "Defect",
        503 => "Unavailable",
        _ => return None,
    })
}

/// Each status with its codes.
fn errors(route: &Route) -> BTreeMap<u16, Vec<&'static str>> {
    let mut errors: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    let mut add = |status: u16, codes: &[&'static str]| errors.entry(status).or_default().extend(codes);
    add(400, &["malformed_query"]);
    add(403, &DENIALS);
    add(404, &["not_found"]);
    add(500, &["misconfigured", "store_refused", "unwritable"]);
    add(503, &UNAVAILABLE);
    if !route.headers.is_empty() {
        add(400, &["malformed_header"]);
    }
    if route.body.is_some() {
        add(400, &["malformed_body"]);
        add(413, &["body_too_large"]);
        add(415, &["unsupported_media_type"]);
    }
    if route.body.is_some() || !route.query.is_empty() {
        add(422, &["invalid"]);
    }
    if route.headers.contains(&Header::IdempotencyKey) {
        add(422, &["idempotency_mismatch"]);
    }
    route.errors.iter().for_each(|(status, codes)| add(*status, codes));
    errors
}

fn parameters(route: &Route) -> Vec<Value> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let (about, schema) = of_path(name);
        json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema })
    });
    let in_query = route.query.iter().copied().flatten().map(in_query);
    let headers = route.headers.iter().map(|header| match header {
        Header::IdempotencyKey => header_of(
            "Idempotency-Key",
            "A text of your own for this request. A repeat with the same text creates nothing, and says which key was made.",
            json!({ "type": "string", "minLength": 1, "maxLength": 256 }),
        ),
        Header::IfMatch => header_of(
            "If-Match",
            "Only if the key still has this version, as in its `ETag`. Default: any.",
            json!({
                "type": "string",
                "anyOf": [{ "pattern": "^\"[1-9][0-9]{0,17}\"$" }, { "enum": ["*"] }],
                "examples": ["\"3\""],
            }),
        ),
    });
    in_path.chain(in_query).chain(headers).collect()
}

fn header_of(name: &str, about: &str, schema: Value) -> Value {
    json!({ "name": name, "in": "header", "required": false, "description": about, "schema": schema })
}

fn of_path(name: &str) -> (&'static str, Value) {
    match name {
        "key" => ("The id of a key.", json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{20}$" })),
        "kind" => ("Whether the owner is a user or a team.", json!({ "type": "string", "enum": ["user", "team"] })),
        "owner" => ("The id of the user or the team.", json!({ "type": "string", "minLength": 1, "maxLength": 128 })),
        "user" => ("The id of the user.", json!({ "type": "string", "minLength": 1, "maxLength": 128 })),
        other => panic!("the path parameter {other} is not described"),
    }
}

fn in_query(param: &Param) -> Value {
    let one = match param.form {
        Form::Bool => json!({ "type": "boolean" }),
        Form::Flag => json!({ "type": "string", "enum": KeyFlag::ALL }),
        Form::Number { least, most } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Form::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
        Form::Text => json!({ "type": "string" }),
        Form::Time => json!({ "type": "string", "format": "date-time" }),
        Form::Words(words) => json!({ "type": "string", "enum": words }),
    };
    let schema = if param.repeats { json!({ "type": "array", "items": one }) } else { one };
    json!({ "name": param.name, "in": "query", "required": false, "description": param.about, "schema": schema })
}

/// The document as it is committed. With the variable `UPDATE_OPENAPI`, it becomes what the table says.
#[test]
fn the_committed_document_is_what_the_table_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let mut now = document();
    now.sort_all_objects();
    if env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&path, serde_json::to_string_pretty(&now).unwrap() + "\n").unwrap();
    }
    let was: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert!(
        was == now,
        "openapi.json is not what the table says: run the tests with UPDATE_OPENAPI=1, and read the difference"
    );
}

#[test]
fn each_route_is_there_once_and_its_path_is_in_one_place() {
    let mut seen = Vec::new();
    let mut paths: Vec<&str> = Vec::new();
    for route in all() {
        assert!(!seen.contains(&(&route.method, route.path)), "{} {} is there twice", route.method, route.path);
        assert!(all().filter(|other| other.id == route.id).count() == 1, "{} is there twice", route.id);
        seen.push((&route.method, route.path));
        if paths.last() != Some(&route.path) {
            assert!(!paths.contains(&route.path), "the rows of {} are not adjacent", route.path);
            paths.push(route.path);
        }
    }
}

/// A `POST` without a body could be sent by a form of another site.
#[test]
fn every_post_takes_a_body() {
    for route in all() {
        let takes_one = route.body.is_some();
        assert_eq!(takes_one, ["PATCH", "POST"].contains(&route.method.as_str()), "{}", route.id);
    }
}

/// Nothing of a request names who acts, or for which organization.
#[test]
fn no_parameter_and_no_member_names_the_actor_or_the_organization() {
    let mut document = Document::default();
    let mut names: Vec<String> = Vec::new();
    for route in all() {
        // A filter of the trail may name an actor: it narrows what is shown.
        let params = route.query.iter().copied().flatten().filter(|_| !route.path.starts_with("/events"));
        names.extend(params.map(|param| param.name.to_owned()));
        names.extend(route.path.split('/').map(str::to_owned));
        if let Some(body) = &route.body {
            (body.shape.schema)(&mut document.requests);
        }
    }
    for schema in document.requests.take_definitions(true).values() {
        let members = schema["properties"].as_object().into_iter().flat_map(Map::keys);
        names.extend(members.cloned());
        let is_object = schema["type"] == "object";
        let is_closed = schema["additionalProperties"] != Value::Null;
        assert!(!is_object || is_closed, "unknown members are not refused: {schema}");
    }
    for word in ["actor", "organization", "hash", "created_at", "{organization}", "{actor}"] {
        assert!(!names.iter().any(|name| name == word), "a request names its {word}");
    }
}
