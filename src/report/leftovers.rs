//! What is left of a destroyed stack: what it is, what it costs, how to delete it.

use serde::Serialize;
use serde_json::json;

use super::output::Output;
use super::style::plural;

/// One thing that is left.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Leftover {
    /// What it is: a kind, or a word such as `snapshot`.
    pub what: String,
    /// Its name or id.
    pub name: String,
    /// Where it comes from and why it is still there, in words; may be empty.
    pub about: String,
    /// US dollars a month; `None` where it depends on use or is not known.
    pub monthly: Option<f64>,
    /// What is charged.
    pub basis: String,
    /// The command or statement that deletes it.
    pub delete: String,
}

/// Shows what is left, or that nothing is.
pub fn show(left: &[Leftover], output: &Output) {
    // The sum of nothing is -0.0.
    let monthly = left.iter().filter_map(|one| one.monthly).fold(0.0, |sum, one| sum + one);
    output.json("leftovers", &json!({ "leftovers": left, "monthly": monthly }));
    if left.is_empty() {
        output.data("Nothing is left of this stack.\n");
        return;
    }
    output.data(&text(left, monthly));
}

fn text(left: &[Leftover], monthly: f64) -> String {
    let cost = if monthly > 0.0 { format!(", together {} a month", money(monthly)) } else { String::new() };
    let mut text = format!("{} left{cost}:\n", plural(left.len(), "object"));
    for one in left {
        let about = if one.about.is_empty() { String::new() } else { format!(": {}", one.about) };
        text.push_str(&format!("  {} `{}`{about}\n", one.what, one.name));
        let price = match one.monthly {
            Some(monthly) if monthly > 0.0 => format!("{} a month ({})", money(monthly), one.basis),
            Some(_) => format!("costs nothing now ({})", one.basis),
            None => one.basis.clone(),
        };
        if !price.is_empty() {
            text.push_str(&format!("      {price}\n"));
        }
        text.push_str(&format!("      to delete it: {}\n", one.delete));
    }
    text
}

fn money(dollars: f64) -> String {
    if dollars < 0.01 { "less than $0.01".to_owned() } else { format!("${dollars:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_leftover_has_its_price_and_its_end() {
        let left = |what: &str, monthly, basis: &str| Leftover {
            what: what.to_owned(),
            name: "club".to_owned(),
            about: "left by DMS".to_owned(),
            monthly,
            basis: basis.to_owned(),
            delete: format!("delete {what}"),
        };
        let left = [left("secret", Some(0.4), "one secret"), left("snapshot", Some(0.0), "$0.024 per GB and month")];
        insta::assert_snapshot!(text(&left, 0.4), @r"
        2 objects left, together $0.40 a month:
          secret `club`: left by DMS
              $0.40 a month (one secret)
              to delete it: delete secret
          snapshot `club`: left by DMS
              costs nothing now ($0.024 per GB and month)
              to delete it: delete snapshot
        ");
        assert_eq!(money(0.004), "less than $0.01");
    }
}
