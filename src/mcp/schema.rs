//! Schemas that every client takes: plain JSON Schema without the keywords that some model's
//! tool format lacks.

use std::sync::Arc;

use rmcp::model::JsonObject;
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::news::FIELD;

/// The schema of a tool's arguments.
pub(super) fn of_arguments<T: JsonSchema>() -> Arc<JsonObject> {
    portable::<T>(SchemaSettings::draft2020_12())
}

/// The schema of a tool's result.
pub(super) fn of_result<T: JsonSchema>() -> Arc<JsonObject> {
    let mut schema = portable::<T>(SchemaSettings::draft2020_12().for_serialize());
    // Beside any result.
    if let Some(Value::Object(properties)) = Arc::make_mut(&mut schema).get_mut("properties") {
        properties.insert(FIELD.to_owned(), json!({ "type": "string" }));
    }
    schema
}

fn portable<T: JsonSchema>(settings: SchemaSettings) -> Arc<JsonObject> {
    let settings = settings.with(|settings| settings.inline_subschemas = true);
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = schema.as_object().cloned().unwrap_or_default();
    for noise in ["title", "description"] {
        schema.remove(noise);
    }
    schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    // A client may refuse all tools when one's schema has no type at its root.
    schema.insert("type".to_owned(), "object".into());
    simplify(&mut schema);
    Arc::new(schema)
}

fn simplify(schema: &mut Map<String, Value>) {
    schema.remove("$schema");
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    // Of numbers: `uint32` and the like are no formats that a client knows.
    if schema.get("format").is_some_and(Value::is_string) {
        schema.remove("format");
    }
    // Of numbers without a sign: it says nothing that a model would get wrong.
    if schema.get("minimum").is_some_and(|minimum| minimum == 0) {
        schema.remove("minimum");
    }
    one_type(schema);
    without_null_branch(schema);
    constants_to_enum(schema);
    for value in schema.values_mut() {
        simplify_value(value);
    }
}

fn simplify_value(value: &mut Value) {
    if let Value::Object(schema) = value {
        simplify(schema);
    } else if let Value::Array(values) = value {
        values.iter_mut().for_each(simplify_value);
    }
}

/// `["string", "null"]` of an optional field becomes `"string"`.
fn one_type(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            schema.insert("type".to_owned(), one);
        }
    }
}

/// `anyOf` of something and `null` becomes that something.
fn without_null_branch(schema: &mut Map<String, Value>) {
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.retain(|branch| branch.get("type").is_none_or(|name| name != "null"));
        if let [Value::Object(one)] = branches.as_slice() {
            let one = one.clone();
            schema.remove("anyOf");
            for (key, value) in one {
                schema.entry(key).or_insert(value);
            }
        }
    }
}

/// `oneOf` of described string constants becomes an `enum`.
fn constants_to_enum(schema: &mut Map<String, Value>) {
    let Some(Value::Array(branches)) = schema.get("oneOf") else { return };
    let mut values = Vec::new();
    for branch in branches {
        match (branch.get("const"), branch.get("enum")) {
            (Some(value), None) => values.push(value.clone()),
            (None, Some(Value::Array(more))) => values.extend(more.iter().cloned()),
            _ => return,
        }
    }
    schema.remove("oneOf");
    schema.insert("type".to_owned(), "string".into());
    schema.insert("enum".to_owned(), Value::Array(values));
}
