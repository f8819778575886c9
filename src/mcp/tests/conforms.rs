use serde_json::Value;

/// Checks `value` against the keywords that our schemas use; any other is an error.
pub(super) fn conforms(value: &Value, schema: &Value, at: &str) {
    let schema = schema.as_object().unwrap();
    for (keyword, rule) in schema {
        match keyword.as_str() {
            "type" => assert!(is_of(value, rule.as_str().unwrap()), "{at} is no {rule}: {value}"),
            "enum" => assert!(rule.as_array().unwrap().contains(value), "{at}: {value}"),
            "required" => {
                for name in rule.as_array().unwrap() {
                    assert!(value.get(name.as_str().unwrap()).is_some(), "{at} lacks {name}");
                }
            }
            "properties" => {
                for (name, inner) in value.as_object().unwrap() {
                    let rule =
                        rule.get(name).unwrap_or_else(|| panic!("{at}.{name} is undeclared"));
                    conforms(inner, rule, &format!("{at}.{name}"));
                }
            }
            "items" => {
                for inner in value.as_array().unwrap() {
                    conforms(inner, rule, &format!("{at}[]"));
                }
            }
            "minimum" => assert!(value.as_f64().unwrap() >= rule.as_f64().unwrap()),
            "description"
            | "default"
            | "additionalProperties"
            | "maximum"
            | "minLength"
            | "maxLength" => {}
            other => panic!("{at} uses {other}"),
        }
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        other => panic!("no type {other}"),
    }
}
