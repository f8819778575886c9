use super::*;

#[test]
fn placeholder() {
    assert!(scan("hello").is_empty());
}
