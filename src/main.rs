fn main() { for c in portal_operator::api::crds() { println!("---\n{}", serde_saphyr::to_string(&c).unwrap()); } }
