//! Every way not to be a sidecar.

use super::*;

#[test]
fn every_other_text_is_refused_in_its_own_words() {
    let hex = "ab".repeat(32);
    let good = sample();
    let none = ObjectId::of(b"").to_string();
    let with = |lines: &str| {
        let lines = lines.replace('#', &hex).replace('%', &none);
        format!("mvc 1 torch\n{lines}")
    };
    let cases: Vec<(String, Kind, &str)> = vec![
        (
            good.replace("literal 1 ", "<<<<<<< HEAD\nliteral 1 "),
            Kind::Conflict,
            "line 8 of the sidecar is a conflict marker",
        ),
        (
            good.replace("literal 1 ", "=======\nliteral 1 "),
            Kind::Conflict,
            "line 8",
        ),
        (
            good.replace('\n', "\r\n"),
            Kind::BadInput,
            "line 1 of the sidecar ends with a carriage",
        ),
        (
            good.replace("mvc 1", "mvc 2"),
            Kind::Unsupported,
            "it has version 2",
        ),
        (
            good.replace("torch", "onnx"),
            Kind::Unsupported,
            "it has the format \"onnx\"",
        ),
        (
            with("sparse \"a\" #\n"),
            Kind::Unsupported,
            "line 2 is a \"sparse\" line",
        ),
        (String::new(), Kind::BadInput, "does not begin with `mvc`"),
        (
            "version https://git-lfs".into(),
            Kind::BadInput,
            "does not begin",
        ),
        ("mvc".into(), Kind::BadInput, "lacks the version"),
        ("mvc 1".into(), Kind::BadInput, "lacks the format"),
        (
            "mvc x torch\n".into(),
            Kind::BadInput,
            "version that is no number",
        ),
        ("mvc 1 torch more\n".into(), Kind::BadInput, "more words"),
        (
            "mvc 1 torch".into(),
            Kind::BadInput,
            "line 2 of the sidecar is not as mvc writes it",
        ),
        (
            good.trim_end().into(),
            Kind::BadInput,
            "not as mvc writes it",
        ),
        (with("\n"), Kind::BadInput, "line 2 of the sidecar is empty"),
        (
            with("literal 07 #\n"),
            Kind::BadInput,
            "not as mvc writes it",
        ),
        (with("literal +7 #\n"), Kind::BadInput, "no number"),
        (with("literal 0 #\n"), Kind::BadInput, "without bytes"),
        (
            with("literal 1 #\nliteral 1 #\n"),
            Kind::BadInput,
            "second literal",
        ),
        (with("literal 1 #0\n"), Kind::BadInput, "no id"),
        (
            with("literal 1 # \n"),
            Kind::BadInput,
            "not as mvc writes it",
        ),
        (with("literal 1 # x\n"), Kind::BadInput, "more fields"),
        (
            with("literal 99999999999999999999 #\n"),
            Kind::BadInput,
            "no number",
        ),
        (
            with("literal 9223372036854775808 #\n"),
            Kind::BadInput,
            "no number",
        ),
        (
            with("literal 9223372036854775807 #\ntensor \"a\" U8 1 1 #\n"),
            Kind::BadInput,
            "longer than any file",
        ),
        (
            with("tensor a U8 1 1 #\n"),
            Kind::BadInput,
            "no name in quotes",
        ),
        (
            with("tensor \"a U8 1 1 #\n"),
            Kind::BadInput,
            "no name in quotes",
        ),
        (
            with("tensor \"\\ud800\" U8 1 1 #\n"),
            Kind::BadInput,
            "no name in quotes",
        ),
        (
            with("tensor \"\\u0061\" U8 1 1 #\n"),
            Kind::BadInput,
            "not as mvc writes it",
        ),
        (with("tensor \"a\" U8 1x 1 #\n"), Kind::BadInput, "no shape"),
        (with("tensor \"a\" U-8 1 1 #\n"), Kind::BadInput, "no dtype"),
        (
            with("tensor \"a\" F32 1 1 #\n"),
            Kind::BadInput,
            "\"a\" has a length",
        ),
        (
            with("tensor \"a\" F32 9223372036854775808 1 #\n"),
            Kind::BadInput,
            "no shape",
        ),
        (
            with("tensor \"a\" F32 9223372036854775807x2 1 #\n"),
            Kind::BadInput,
            "\"a\" has sides",
        ),
        (
            with("tensor \"a\" F4 4294967296x2147483648x0 0 #\n"),
            Kind::BadInput,
            "\"a\" has sides",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" U8 9223372036854775807x0x2 0 - #\n"),
            Kind::BadInput,
            "\"a\" has sides",
        ),
        (
            with(&format!("tensor \"a\" U8 {}1 1 #\n", "1x".repeat(64))),
            Kind::BadInput,
            "too many dimensions",
        ),
        (
            with("tensor \"a\" U8 1 1 #\ntensor \"a\" U8 1 1 #\n"),
            Kind::BadInput,
            "\"a\" is listed twice",
        ),
        (
            with("group \"a\"\ntensor \"b\" U8 1 1 #\n"),
            Kind::BadInput,
            "line 2 of the sidecar is not",
        ),
        (
            with("tensor \"a.b\" U8 1 1 #\n"),
            Kind::BadInput,
            "line 2 of the sidecar is not",
        ),
        (
            with("alias \"a\" \"b\"\n"),
            Kind::BadInput,
            "is an alias of something",
        ),
        (
            with("tensor \"b\" U8 1 1 #\nalias \"a\" \"b\"\n"),
            Kind::BadInput,
            "\"a\" is not in its place",
        ),
        (
            with("view \"a\" U8 1 0 - #\n"),
            Kind::BadInput,
            "without a storage",
        ),
        (
            with("storage \"0\" U8 1 #\n"),
            Kind::BadInput,
            "without views",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" U8 2 0 - #\n"),
            Kind::BadInput,
            "\"a\" reaches beyond its storage",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" U8 2x2 0 9223372036854775807,1 #\n"),
            Kind::BadInput,
            "reaches beyond",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" F4 1 0 - #\n"),
            Kind::BadInput,
            "reaches beyond",
        ),
        (
            with("storage \"0\" U8 4 #\nview \"a\" U8 2x2 0 2,1 #\n"),
            Kind::BadInput,
            "has strides",
        ),
        (
            with("storage \"0\" U8 2 #\nview \"b\" U8 1 0 - #\nview \"a\" U8 1 0 - #\n"),
            Kind::BadInput,
            "not in its place",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" U8 1000000000 0 0 #\n"),
            Kind::BadInput,
            "repeats its bytes too often",
        ),
        (
            with("tensor \"a\" U8 1 1 #\n").replace("torch", "opaque"),
            Kind::BadInput,
            "of a kind",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" U8 1 0 - #\n").replace("torch", "safetensors"),
            Kind::BadInput,
            "of a kind",
        ),
        (
            with("storage \"0\" F32 4 #\nview \"a\" F32 1 0 - #\n"),
            Kind::BadInput,
            "\"0\" is a storage that is one whole tensor",
        ),
        (
            with("storage \"0\" F32 4 #\nview \"a\" F32 1 0 - #\nview \"b\" F32 1 0 - #\n"),
            Kind::BadInput,
            "\"0\" is a storage that is one whole tensor",
        ),
        (
            with("storage \"0\" F32 4 #\nview \"a\" U8 1 0 - #\n"),
            Kind::BadInput,
            "\"0\" is a storage of another dtype",
        ),
        (
            with("storage \"0\" U8 0 %\nview \"a\" U8 0 0 - %\n"),
            Kind::BadInput,
            "\"0\" is a storage that is one whole tensor",
        ),
        (
            with("storage \"0\" U8 0 #\nview \"a\" U8 0 0 - %\nview \"b\" U8 0x2 0 - %\n"),
            Kind::BadInput,
            "\"0\" has no bytes, and an id",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" U8 0 1 - #\n"),
            Kind::BadInput,
            "\"a\" has no bytes, and an id",
        ),
        (
            with("storage \"0\" U8 1 #\nview \"a\" U8 0 2 - %\n"),
            Kind::BadInput,
            "\"a\" reaches beyond its storage",
        ),
        (
            with("tensor \"a\" U8 0 0 #\n"),
            Kind::BadInput,
            "\"a\" has no bytes, and an id",
        ),
        (
            with("tensor \"b\" U8 0 0 %\ntensor \"a\" F32 0x2 0 %\n"),
            Kind::BadInput,
            "\"a\" is not in its place",
        ),
        (
            "mvc 1 safetensors\n".into(),
            Kind::BadInput,
            "does not begin with the one literal",
        ),
        (
            with("tensor \"a\" U8 1 1 #\n").replace("torch", "safetensors"),
            Kind::BadInput,
            "does not begin with the one literal",
        ),
        (
            with("literal 10 #\ntensor \"a\" U8 1 1 #\nliteral 1 #\n")
                .replace("torch", "safetensors"),
            Kind::BadInput,
            "does not begin with the one literal",
        ),
        (
            with("literal 9 #\n").replace("torch", "safetensors"),
            Kind::BadInput,
            "does not begin with the one literal",
        ),
        (
            with("literal 100000009 #\n").replace("torch", "safetensors"),
            Kind::BadInput,
            "does not begin with the one literal",
        ),
        (
            with("tensor \"a\" I8 1 1 #\n").replace("torch", "gguf"),
            Kind::BadInput,
            "what a GGUF file has, its header and a tensor",
        ),
        (
            with("literal 47 #\ntensor \"a\" I8 1 1 #\n").replace("torch", "gguf"),
            Kind::BadInput,
            "what a GGUF file has, its header and a tensor",
        ),
        (
            with("literal 48 #\n").replace("torch", "gguf"),
            Kind::BadInput,
            "what a GGUF file has, its header and a tensor",
        ),
        (
            with("literal 48 #\ntensor \"a\" I8 1 1 #\nalias \"b\" \"a\"\n")
                .replace("torch", "gguf"),
            Kind::BadInput,
            "\"a\" is of a kind that the file's format",
        ),
        (
            with("literal 48 #\ntensor \"a\" U8 1 1 #\n").replace("torch", "gguf"),
            Kind::Unsupported,
            "its GGUF tensor \"a\" is U8",
        ),
        (
            with("literal 48 #\ntensor \"a\" Q9_K 256 9 #\n").replace("torch", "gguf"),
            Kind::Unsupported,
            "its GGUF tensor \"a\" is Q9_K",
        ),
        (
            with("literal 48 #\ntensor \"a\" I8 1x1x1x1x1 1 #\n").replace("torch", "gguf"),
            Kind::Unsupported,
            "its GGUF tensor \"a\" has 5 sides",
        ),
        (
            with("literal 48 #\ntensor \"a\" Q4_K 256 143 #\n").replace("torch", "gguf"),
            Kind::BadInput,
            "\"a\" has a length that its dtype and shape do not give",
        ),
        (
            with("literal 48 #\ntensor \"a\" Q4_0 16x2 18 #\n").replace("torch", "gguf"),
            Kind::BadInput,
            "\"a\" has a length that its dtype and shape do not give",
        ),
        (
            with("tensors 99999999999 #\n"),
            Kind::BadInput,
            "announces 99999999999 tensors",
        ),
        (
            with("tensors 1 #\nliteral 1 #\n"),
            Kind::BadInput,
            "line 2 of the sidecar",
        ),
        (
            with("tensors 01 #\n"),
            Kind::BadInput,
            "not as mvc writes it",
        ),
    ];
    for (text, kind, words) in cases {
        let error = Manifest::parse(text.as_bytes()).expect_err(&text);
        assert_eq!(error.kind(), kind, "{error} of {text}");
        assert!(
            error.to_string().contains(words),
            "{error:?} should say {words:?}"
        );
    }
    let error = Manifest::parse(b"mvc 1 torch\n\xff").expect_err("no UTF-8");
    assert!(matches!(error, ManifestError::Encoding));
    let error = Manifest::parse(&vec![b'x'; MAX_TEXT + 1]).expect_err("too long");
    assert!(matches!(error, ManifestError::TooLong { .. }));
}
