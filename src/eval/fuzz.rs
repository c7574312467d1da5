//! The readers of claims, architectures and answers as functions of any bytes.

use crate::base::fuzz::Target;
use crate::eval::Measured;
use crate::eval::architecture::BertConfig;
use crate::eval::claim::Claims;

/// All of this layer.
pub(crate) static TARGETS: [Target; 3] = [
    Target {
        name: "claims",
        run: claims,
        memory: |bytes| (64 << 10) + 96 * bytes.len(),
    },
    Target {
        name: "architecture",
        run: |bytes| BertConfig::parse(bytes).is_ok(),
        memory: |bytes| (8 << 10) + 48 * bytes.len(),
    },
    Target {
        name: "answer",
        run: answer,
        memory: |bytes| (8 << 10) + 16 * bytes.len(),
    },
];

fn claims(bytes: &[u8]) -> bool {
    let Ok(claims) = Claims::parse(bytes) else {
        return false;
    };
    let again = Claims::parse(claims.to_text().as_bytes());
    assert!(
        again.is_ok_and(|again| again == claims),
        "they have one text"
    );
    true
}

/// What the evaluating process says, which has read a model from elsewhere.
fn answer(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| Measured::from_answer(text).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fuzz::check::check;
    use crate::eval::claim::claim;

    fn target(name: &str) -> &'static Target {
        let found = TARGETS.iter().find(|target| target.name == name);
        found.expect("a target of this name")
    }

    #[test]
    fn claims_of_suites() {
        let claims = ["digits", "two words"].map(|suite| (suite.to_owned(), claim()));
        let text = Claims(claims.into()).to_text().into_bytes();
        check(target("claims"), vec![("two", text)]);
    }

    #[test]
    fn architectures() {
        let json = br#"{"model_type":"bert","vocab_size":9,"hidden_size":2,"num_hidden_layers":1,"num_attention_heads":1,"intermediate_size":4,"max_position_embeddings":8,"layer_norm_eps":1e-12,"hidden_act":"gelu","pruned_heads":{}}"#;
        check(target("architecture"), vec![("bert", json.to_vec())]);
    }

    #[test]
    fn answers() {
        let measured = Measured {
            rows: 360,
            metrics: [("accuracy".to_owned(), 0.925), ("tiny".to_owned(), 5e-324)].into(),
            nan: 1,
            non_finite: vec!["a.b".into()],
            undefined: vec!["mse".into()],
            extra: vec!["é \"c\"".into()],
        };
        let text = measured.to_answer().into_bytes();
        check(target("answer"), vec![("full", text)]);
    }
}
