//! Numbers as every report prints them. JSON carries them in full; these are for people.

/// A count with separators: `22,713,216`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A statistic, to three digits: `0`, `1.23e-3`, `0.0412`, `12.3`, `4.57e6`.
pub fn rough(number: f64) -> String {
    match number.abs() {
        _ if !number.is_finite() => special(number),
        0.0 => "0".into(),
        size if (0.01..999.5).contains(&size) => {
            let whole_digits = size.log10().floor() as i32 + 1;
            trimmed(format!("{number:.*}", (3 - whole_digits).max(0) as usize))
        }
        size if (999.5..99_999.5).contains(&size) => format!("{number:.0}"),
        _ => trimmed_exponent(&format!("{number:.2e}")),
    }
}

/// A metric, to six digits after the point and never fewer than four significant ones: `0.9861`, `0.031337`,
/// `2.5e-7`.
pub fn metric(number: f64) -> String {
    match number.abs() {
        _ if !number.is_finite() => special(number),
        0.0 => "0".into(),
        size if (1e-3..1e9).contains(&size) => trimmed(format!("{number:.6}")),
        _ => trimmed_exponent(&format!("{number:.5e}")),
    }
}

/// A share of a whole: `43.1 %`. Only all is `100 %` and only none is `0 %`.
pub fn percent(share: f64) -> String {
    match share {
        _ if !share.is_finite() => special(share),
        0.0 => "0 %".into(),
        1.0 => "100 %".into(),
        _ if share > 0.0 && share < 0.001 => "<0.1 %".into(),
        _ if share > 0.999 && share < 1.0 => ">99.9 %".into(),
        _ => format!("{:.1} %", share * 100.0),
    }
}

/// A length of time in its largest whole unit: `2 weeks`, `36 hours`, `0 seconds`.
pub fn time(seconds: u64) -> String {
    const UNITS: [(u64, &str); 4] = [
        (604_800, "week"),
        (86_400, "day"),
        (3600, "hour"),
        (60, "minute"),
    ];
    // Two of the larger unit at least, or a whole number of it: 36 hours are not 1 day.
    let fits = |(unit, _): &&(u64, &str)| {
        seconds >= 2 * unit || (seconds > 0 && seconds.is_multiple_of(*unit))
    };
    let (unit, noun) = UNITS.iter().find(fits).copied().unwrap_or((1, "second"));
    let number = usize::try_from(seconds / unit).unwrap_or(usize::MAX);
    crate::base::text::count(number, noun)
}

/// A cosine, to six digits after the point. Only what is 1 is `1`.
pub fn cosine(number: f64) -> String {
    match number {
        _ if !number.is_finite() => special(number),
        _ if number > 0.999_999 && number < 1.0 => ">0.999999".into(),
        _ if number.abs() == 1.0 || number == 0.0 => number.to_string(),
        _ => format!("{number:.6}"),
    }
}

fn special(number: f64) -> String {
    match number {
        _ if number.is_nan() => "NaN",
        _ if number > 0.0 => "inf",
        _ => "-inf",
    }
    .into()
}

fn trimmed(text: String) -> String {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

fn trimmed_exponent(text: &str) -> String {
    match text.split_once('e') {
        Some((digits, exponent)) => format!("{}e{exponent}", trimmed(digits.to_owned())),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_well() {
        let week = 604_800;
        for (seconds, text) in [
            (0, "0 seconds"),
            (60, "1 minute"),
            (119, "119 seconds"),
            (36 * 3600, "36 hours"),
            (week, "1 week"),
            (week + 1, "7 days"),
            (2 * week + 99, "2 weeks"),
        ] {
            assert_eq!(time(seconds), text);
        }
    }

    #[test]
    fn counts_have_separators() {
        assert_eq!(
            [0, 999, 1000, 22_713_216].map(count),
            ["0", "999", "1,000", "22,713,216"]
        );
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn statistics_are_short() {
        let numbers = [
            0.0,
            0.0012,
            0.00123,
            0.04123,
            0.5,
            1.0,
            12.34,
            999.4,
            1234.5,
            4_567_890.0,
            -0.25,
        ];
        let texts = [
            "0", "1.2e-3", "1.23e-3", "0.0412", "0.5", "1", "12.3", "999", "1234", "4.57e6",
            "-0.25",
        ];
        assert_eq!(numbers.map(rough), texts);
        assert_eq!(
            [f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(rough),
            ["NaN", "inf", "-inf"]
        );
    }

    #[test]
    fn metrics_keep_their_digits() {
        assert_eq!(
            [0.9861111, 0.0313373, 360.0, 2.5e-7].map(metric),
            ["0.986111", "0.031337", "360", "2.5e-7"]
        );
    }

    #[test]
    fn nearly_all_is_not_all() {
        assert_eq!(
            [0.0, 0.0001, 0.431, 0.9996, 1.0].map(percent),
            ["0 %", "<0.1 %", "43.1 %", ">99.9 %", "100 %"]
        );
        assert_eq!(
            [0.5, 0.99999, 0.999_999_9, 1.0, -1.0].map(cosine),
            ["0.500000", "0.999990", ">0.999999", "1", "-1"]
        );
    }
}
