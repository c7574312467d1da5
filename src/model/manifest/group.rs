//! Which layer a tensor belongs to.

/// The layer that a tensor's name speaks of, by its parts between dots, the last of which never counts:
/// everything up to the first part that is a number (`encoder.layer.0` of `encoder.layer.0.output.weight`);
/// without one, the first part (`conv1` of `conv1.weight`); nothing for a name without dots.
pub fn group_of(name: &str) -> &str {
    let Some((parents, _)) = name.rsplit_once('.') else {
        return "";
    };
    let mut end = 0;
    for part in parents.split('.') {
        end += part.len();
        if !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()) {
            return &name[..end];
        }
        end += 1;
    }
    parents.split('.').next().unwrap_or(parents)
}

#[cfg(test)]
mod tests {
    use super::group_of;

    #[test]
    fn layers_are_told_by_their_numbers() {
        for (name, group) in [
            ("encoder.layer.0.attention.weight", "encoder.layer.0"),
            ("encoder.layer.11.mlp.2.bias", "encoder.layer.11"),
            ("embeddings.word_embeddings.weight", "embeddings"),
            ("conv1.weight", "conv1"),
            ("params.0", "params"),
            ("0.weight", "0"),
            ("weight", ""),
            ("", ""),
            (".x", ""),
            ("é.1.x", "é.1"),
        ] {
            assert_eq!(group_of(name), group, "{name:?}");
        }
    }
}
