use super::*;
#[test]
fn every_file_parses_and_every_pattern_compiles() {
    for (text, severity) in FILES {
        for table in RuleTable::parse(text).unwrap() {
            let rule = Rule::built_in(table, *severity).unwrap();
            rule.check().unwrap();
        }
    }
}
