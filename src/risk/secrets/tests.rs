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
#[test]
fn profile() {
    let Ok(text) = std::fs::read_to_string("/tmp/sgen/clean.txt") else { return };
    let secrets = Secrets::standard();
    for _ in 0..3 { secrets.scan(&text); }
    let mut best=std::time::Duration::MAX; let mut windows=Vec::new();
    for _ in 0..40 { let t = std::time::Instant::now(); windows = secrets.prefilter.windows(text.as_bytes()); best=best.min(t.elapsed()); }
    println!("prefilter {:?} {} windows of {} bytes", best, windows.len(), text.len());
    let mut by: std::collections::BTreeMap<usize,(usize,usize,std::time::Duration)> = Default::default();
    for w in windows {
        let rule=&secrets.rules[w.rule]; let mut f=Vec::new();
        let mut best=std::time::Duration::MAX;
        for _ in 0..5 { f.clear(); let t = std::time::Instant::now();
        rule.look(&text, w.span.clone(), &mut f); best=best.min(t.elapsed()); }
        let e=by.entry(w.rule).or_default(); e.0+=1; e.1+=w.span.len(); e.2+=best;
    }
    let mut v: Vec<_> = by.into_iter().collect(); v.sort_by_key(|x| std::cmp::Reverse(x.1.2));
    for (r,(n,b,d)) in v.iter().take(25) { println!("{} windows {n} bytes {b} time {d:?}", secrets.rules[*r].id()); }
    println!("total {:?}", v.iter().map(|x| x.1.2).sum::<std::time::Duration>());
}
