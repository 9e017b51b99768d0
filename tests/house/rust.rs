//! Rust as far as the rules of the house have to understand it: comments and texts aside, words, paths.

/// The code alone: comments, texts and characters become blanks, line feeds stay, so that places keep their lines.
pub fn code(text: &str) -> String {
    let all: Vec<char> = text.chars().collect();
    let mut code = String::with_capacity(text.len());
    let mut at = 0;
    while at < all.len() {
        let end = token_end(&all, at);
        match end {
            Some(end) => {
                code.extend(all[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
                at = end;
            }
            None => {
                code.push(all[at]);
                at += 1;
            }
        }
    }
    code
}

/// Where the comment, text or character that begins here ends. None: none begins here.
fn token_end(all: &[char], at: usize) -> Option<usize> {
    let next = |n: usize| all.get(at + n).copied().unwrap_or('\0');
    let find = |from: usize, what: &[char]| {
        (from..all.len()).find(|i| all[*i..].starts_with(what)).map_or(all.len(), |i| i + what.len())
    };
    let in_word = at > 0 && is_word(all[at - 1]);
    match all[at] {
        '/' if next(1) == '/' => Some((at..all.len()).find(|i| all[*i] == '\n').unwrap_or(all.len())),
        '/' if next(1) == '*' => Some(find(at + 2, &['*', '/'])),
        '"' => Some(text_end(all, at + 1)),
        'r' if !in_word && (next(1) == '"' || next(1) == '#') => {
            let hashes = all[at + 1..].iter().take_while(|c| **c == '#').count();
            if next(1 + hashes) != '"' {
                return None; // A raw identifier.
            }
            let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
            Some(find(at + 2 + hashes, &close))
        }
        // A character, not a lifetime.
        '\'' if next(1) == '\\' => Some(find(at + 3, &['\''])),
        '\'' if next(2) == '\'' => Some(at + 3),
        _ => None,
    }
}

fn text_end(all: &[char], from: usize) -> usize {
    let mut at = from;
    while at < all.len() {
        match all[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    all.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The line of a place, from 1.
pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// Where this word stands by itself.
pub fn words(code: &str, word: &str) -> Vec<usize> {
    let alone = |at: &usize| {
        let before = code[..*at].chars().next_back().is_some_and(is_word);
        let after = code[*at + word.len()..].chars().next().is_some_and(is_word);
        let begins = word.starts_with(is_word);
        let ends = word.ends_with(is_word);
        !(before && begins || after && ends)
    };
    code.match_indices(word).map(|(at, _)| at).filter(alone).collect()
}

/// Names that stand right below the crate's root in a path: after `crate::`, after as many `super::` as lead there, or
/// as the members of a group that follows.
pub fn names_after_crate(code: &str, depth: usize) -> Vec<(usize, String)> {
    let up = "super::".repeat(depth);
    let roots = words(code, "crate::").into_iter().map(|at| at + "crate::".len());
    let supers = words(code, &up).into_iter().filter(|at| depth > 0 && !code[..*at].ends_with("super::"));
    roots.chain(supers.map(|at| at + up.len())).flat_map(|at| names_at(code, at)).collect()
}

fn names_at(code: &str, at: usize) -> Vec<(usize, String)> {
    let name = |at: usize| code[at..].chars().take_while(|c| is_word(*c)).collect::<String>();
    if !code[at..].starts_with('{') {
        return vec![(at, name(at))];
    }
    let (mut names, mut level, mut fresh) = (Vec::new(), 0, false);
    for (offset, sign) in code[at..].char_indices() {
        match sign {
            '{' => level += 1,
            '}' => level -= 1,
            _ => {}
        }
        if level == 0 {
            break;
        }
        if level == 1 && (sign == '{' || sign == ',') {
            fresh = true;
        } else if fresh && is_word(sign) {
            names.push((at + offset, name(at + offset)));
            fresh = false;
        }
    }
    names
}
