use mvc::base::Kind;

use crate::support::Sandbox;

#[test]
fn every_shell_gets_a_script() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = sandbox.mvc(&["completions", shell]).ok().prints("mvc");
        assert!(script.stderr.is_empty() && !script.bytes.is_empty());
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let sandbox = Sandbox::new();
    let sh = crate::support::sandbox::find("sh");
    let script = "mvc completions bash | true; mvc completions bash >&- 2>/dev/null; mvc completions bash > /dev/full";
    let done = sandbox
        .command(&sh)
        .args(["-c", script])
        .output()
        .expect("runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert_eq!(
        done.status.code(),
        Some(Kind::Io.exit_code().into()),
        "{said}"
    );
    assert!(
        !said.contains("roken pipe") && said.contains("no space left on device"),
        "{said}"
    );
}

#[test]
fn mistakes_read_well() {
    let sandbox = Sandbox::new();
    sandbox
        .mvc(&["completions", "tcsh"])
        .fails(Kind::Usage)
        .stderr_is(snapbox::str![[r#"
error: `tcsh` is no value for `<SHELL>`

hint: did you mean `zsh`?

"#]]);
    sandbox
        .mvc(&["chekout"])
        .fails(Kind::Usage)
        .stderr_is(snapbox::str![[r#"
error: `mvc` has no command `chekout`

hint: did you mean `checkout`?

"#]]);
    sandbox
        .mvc(&["completions", "zsh", "--json"])
        .fails(Kind::Usage)
        .stderr_is(snapbox::str![[r#"
{"schema":"mvc.error/1","kind":"usage","message":"`mvc completions` has no report to print as JSON","causes":[],"hints":["leave out `--json`"]}

"#]]);
    sandbox
        .mvc(&["-C", "nowhere", "completions", "zsh"])
        .fails(Kind::NotFound)
        .stderr_is(snapbox::str![[r#"
error: cannot change to nowhere: there is no such folder

"#]]);
}

#[test]
fn colour_is_asked_for_or_left_out() {
    let sandbox = Sandbox::new();
    sandbox
        .mvc(&["-C", "x", "completions", "zsh", "--color", "always"])
        .says("\u{1b}[");
    assert!(
        !sandbox
            .mvc(&["-C", "x", "completions", "zsh"])
            .stderr
            .contains('\u{1b}')
    );
}

#[test]
fn help_and_version_are_data() {
    let sandbox = Sandbox::new();
    sandbox
        .mvc(&["--version"])
        .ok()
        .prints(concat!("mvc ", env!("CARGO_PKG_VERSION")));
    sandbox
        .mvc(&["help", "completions"])
        .ok()
        .prints("$ mvc completions bash");
    sandbox
        .mvc(&["completions", "-h"])
        .ok()
        .prints("Usage: mvc completions");
    let bare = sandbox.mvc(&[]).fails(Kind::Usage).says("Usage: mvc");
    assert!(bare.stdout.is_empty());
}

#[test]
fn a_failure_is_json_where_json_is_wanted() {
    let sandbox = Sandbox::new();
    let failed = sandbox
        .mvc(&["--json", "-C", "no\u{1b}where", "completions", "zsh"])
        .fails(Kind::NotFound);
    let error: serde_json::Value = serde_json::from_str(&failed.stderr).expect("one line of JSON");
    assert_eq!(error["schema"], "mvc.error/1");
    assert_eq!(error["kind"], "not-found");
    assert_eq!(error["hints"], serde_json::json!([]));
    let wrong = sandbox.mvc(&["--json", "chekout"]).fails(Kind::Usage);
    assert!(
        wrong
            .stderr
            .starts_with("{\"schema\":\"mvc.error/1\",\"kind\":\"usage\""),
        "{}",
        wrong.stderr
    );
}
