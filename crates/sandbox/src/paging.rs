//! Cuts long lists into pages. A page's token says where the next begins and is opaque to clients.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The token was not given out by [`page`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UnknownToken;

/// One page of `items`, which are in a stable order, and the token of the next page.
pub(crate) fn page<T>(
    items: Vec<T>,
    token: Option<&str>,
    size: usize,
) -> Result<(Vec<T>, Option<String>), UnknownToken> {
    let start = token.map_or(Ok(0), position)?;
    let end = start.saturating_add(size.max(1));
    let next = (end < items.len()).then(|| STANDARD.encode(format!("page:{end}")));
    Ok((items.into_iter().skip(start).take(end - start).collect(), next))
}

fn position(token: &str) -> Result<usize, UnknownToken> {
    let bytes = STANDARD.decode(token).map_err(|_| UnknownToken)?;
    let text = String::from_utf8(bytes).map_err(|_| UnknownToken)?;
    text.strip_prefix("page:").and_then(|position| position.parse().ok()).ok_or(UnknownToken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_together_are_the_list() {
        let (first, token) = page(vec![1, 2, 3], None, 2).unwrap();
        let (second, end) = page(vec![1, 2, 3], token.as_deref(), 2).unwrap();
        assert_eq!((first, second, end), (vec![1, 2], vec![3], None));
        assert_eq!(page(vec![1], Some("x"), 2), Err(UnknownToken));
    }
}
