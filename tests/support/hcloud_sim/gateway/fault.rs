//! Scripted faults: which call is hit, and by what.

use std::time::Duration;

use super::super::wire::Code;

/// Rules, and how often each has counted.
///
/// ```text
/// SPEC  = RULE *( ";" RULE )
/// RULE  = WHICH ":" FAULT [ "@" ( "before" | "after" ) ]
/// WHICH = CALLS | METHOD " " PATH [ "#" CALLS ]
/// CALLS = RANGE *( "," RANGE )
/// RANGE = N | N "-" M | N "-" | "*"
/// FAULT = "error=" CODE | "status=" HTTP | "reset" | "hold" | "garbage"
///         | "delay=" TIME | "action=" CODE
/// TIME  = N ( "ms" | "s" )
/// ```
/// Calls count from 1: all calls, or with METHOD and PATH (without `/v1`; `*` stands for one
/// segment) those which match, all of them when no `#` follows. The first rule that hits wins.
/// `before` and `after` say whether the fault strikes before the request has an effect, or after:
///
/// | fault | what the client gets | when not said |
/// |---|---|---|
/// | `error=CODE` | the API's error of that code, with its HTTP status | before |
/// | `status=HTTP` | that status with a gateway's HTML page | before |
/// | `reset` | a TCP reset | before |
/// | `hold` | nothing, as long as it waits; [`HcloudSim::held`](super::super::HcloudSim::held) tells | after |
/// | `garbage` | status 200 and a body that is no JSON | after |
/// | `delay=TIME` | the true answer, so much later in real time | after |
/// | `action=CODE` | a true answer whose action ends in an error | |
///
/// `7:reset@after; POST /servers/*/actions/create_image#1:error=conflict; 20-:status=502`
#[derive(Debug, Clone, Default)]
pub struct Faults(Vec<Rule>);

#[derive(Debug, Clone)]
struct Rule {
    route: Option<(String, Vec<String>)>,
    calls: Vec<(u64, u64)>,
    fault: Fault,
    when: When,
    counted: u64,
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// An error of the API.
    Error(&'static str),
    /// An HTTP status from a gateway.
    Status(u16),
    /// The connection is reset.
    Reset,
    /// There is no answer, ever.
    Hold,
    /// A body that is no JSON.
    Garbage,
    /// A late answer.
    Delay(Duration),
    /// The action begun will fail with this code.
    Action(String),
}

/// Whether a fault strikes before the request has had its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Before,
    After,
}

impl Faults {
    /// Parses a SPEC. An empty one has no faults.
    ///
    /// # Errors
    /// A message naming the rule that cannot be understood.
    pub fn parse(spec: &str) -> Result<Self, String> {
        let rules = spec.split(';').map(str::trim).filter(|rule| !rule.is_empty());
        let parsed =
            rules.map(|rule| Rule::parse(rule).map_err(|why| format!("fault '{rule}': {why}")));
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// Counts a call and says what happens to it.
    pub(super) fn strike(&mut self, method: &str, path: &str) -> Option<(Fault, When)> {
        let mut struck = None;
        for rule in &mut self.0 {
            if !rule.is_about(method, path) {
                continue;
            }
            rule.counted += 1;
            let hit = |(first, last): &(u64, u64)| (*first..=*last).contains(&rule.counted);
            if struck.is_none() && rule.calls.iter().any(hit) {
                struck = Some((rule.fault.clone(), rule.when));
            }
        }
        struck
    }
}

impl Rule {
    fn parse(text: &str) -> Result<Self, String> {
        let (which, fault) = text.rsplit_once(':').ok_or("no ':' between call and fault")?;
        let (route, calls) = which_calls(which.trim())?;
        let (fault, when) = match fault.trim().split_once('@') {
            Some((fault, when)) => (fault, Some(when)),
            None => (fault.trim(), None),
        };
        let (fault, usual) = Fault::parse(fault)?;
        let when = match when {
            None => usual,
            Some("before") => When::Before,
            Some("after") => When::After,
            Some(other) => return Err(format!("'{other}' is neither before nor after")),
        };
        Ok(Self { route, calls, fault, when, counted: 0 })
    }

    fn is_about(&self, method: &str, path: &str) -> bool {
        let Some((wanted, pattern)) = &self.route else {
            return true;
        };
        let segments: Vec<_> = path.trim_start_matches("/v1").split('/').collect();
        let fits = |(part, segment): (&String, &&str)| part == "*" || part == segment;
        wanted == method
            && pattern.len() == segments.len()
            && pattern.iter().zip(&segments).all(fits)
    }
}

type Which = (Option<(String, Vec<String>)>, Vec<(u64, u64)>);

fn which_calls(text: &str) -> Result<Which, String> {
    let Some((method, path)) = text.split_once(' ') else {
        return Ok((None, ranges(text)?));
    };
    let (path, calls) = path.trim().split_once('#').unwrap_or((path.trim(), "*"));
    if !path.starts_with('/') {
        return Err(format!("path '{path}' does not begin with '/'"));
    }
    let segments = path.split('/').map(ToOwned::to_owned).collect();
    Ok((Some((method.to_owned(), segments)), ranges(calls)?))
}

fn ranges(text: &str) -> Result<Vec<(u64, u64)>, String> {
    let number = |text: &str| match text.parse::<u64>() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(format!("'{text}' is not the number of a call")),
    };
    let range = |text: &str| match text.trim().split_once('-') {
        None if text.trim() == "*" => Ok((1, u64::MAX)),
        None => number(text.trim()).map(|n| (n, n)),
        Some((first, "")) => Ok((number(first)?, u64::MAX)),
        Some((first, last)) => Ok((number(first)?, number(last)?)),
    };
    text.split(',').map(range).collect()
}

impl Fault {
    /// The fault, and when it strikes unless that is said.
    fn parse(text: &str) -> Result<(Self, When), String> {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        Ok(match name {
            "error" => {
                let code =
                    Code::named(value).ok_or_else(|| format!("unknown error code '{value}'"))?;
                (Self::Error(code.0), When::Before)
            }
            "status" => {
                let status = value.parse().ok().filter(|status| (200..600).contains(status));
                (
                    Self::Status(status.ok_or_else(|| format!("'{value}' is no HTTP status"))?),
                    When::Before,
                )
            }
            "reset" if value.is_empty() => (Self::Reset, When::Before),
            "hold" if value.is_empty() => (Self::Hold, When::After),
            "garbage" if value.is_empty() => (Self::Garbage, When::After),
            "delay" => (Self::Delay(time(value)?), When::After),
            "action" if !value.is_empty() => (Self::Action(value.to_owned()), When::After),
            _ => return Err(format!("unknown fault '{text}'")),
        })
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let millis = text.strip_suffix("ms").map(str::parse).map(|n| n.map(Duration::from_millis));
    let seconds = || text.strip_suffix('s').map(str::parse).map(|n| n.map(Duration::from_secs));
    match millis.or_else(seconds) {
        Some(Ok(time)) => Ok(time),
        _ => Err(format!("'{text}' is not a time such as 300ms or 30s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn struck(spec: &str, calls: &[(&str, &str)]) -> Vec<usize> {
        let mut faults = Faults::parse(spec).unwrap();
        let hits = calls.iter().enumerate();
        hits.filter(|(_, (method, path))| faults.strike(method, path).is_some())
            .map(|(index, _)| index + 1)
            .collect()
    }

    #[test]
    fn calls_are_counted_from_one() {
        let calls = [("GET", "/v1/servers"); 8];
        for (which, expected) in [
            ("1", vec![1]),
            ("3-4", vec![3, 4]),
            ("7-", vec![7, 8]),
            ("*", vec![1, 2, 3, 4, 5, 6, 7, 8]),
            ("2,5-6", vec![2, 5, 6]),
            ("9", vec![]),
        ] {
            assert_eq!(struck(&format!("{which}:reset"), &calls), expected, "{which}");
        }
    }

    #[test]
    fn a_route_counts_its_own_calls() {
        let calls = [
            ("GET", "/v1/servers/7"),
            ("POST", "/v1/servers"),
            ("POST", "/v1/servers/7/actions/poweron"),
            ("POST", "/v1/servers/8/actions/poweron"),
            ("POST", "/v1/servers"),
        ];
        for (which, expected) in [
            ("POST /servers#1", vec![2]),
            ("POST /servers#2", vec![5]),
            ("POST /servers", vec![2, 5]),
            ("POST /servers/*/actions/poweron#2", vec![4]),
            ("POST /servers/8/actions/poweron", vec![4]),
            ("GET /servers", vec![]),
        ] {
            assert_eq!(struck(&format!("{which}:status=502"), &calls), expected, "{which}");
        }
    }

    #[test]
    fn the_first_rule_wins_and_all_of_them_count() {
        let mut faults = Faults::parse("2:reset; 1-2:garbage").unwrap();
        assert_eq!(faults.strike("GET", "/v1/x"), Some((Fault::Garbage, When::After)));
        assert_eq!(faults.strike("GET", "/v1/x"), Some((Fault::Reset, When::Before)));
        assert_eq!(faults.strike("GET", "/v1/x"), None);
    }

    #[test]
    fn faults_strike_when_they_should() {
        for (text, fault, when) in [
            ("reset", Fault::Reset, When::Before),
            ("reset@after", Fault::Reset, When::After),
            ("error=conflict", Fault::Error("conflict"), When::Before),
            ("status=502@after", Fault::Status(502), When::After),
            ("hold", Fault::Hold, When::After),
            ("garbage@before", Fault::Garbage, When::Before),
            ("delay=300ms", Fault::Delay(Duration::from_millis(300)), When::After),
            ("delay=30s@before", Fault::Delay(Duration::from_secs(30)), When::Before),
            ("action=action_failed", Fault::Action("action_failed".to_owned()), When::After),
        ] {
            let mut faults = Faults::parse(&format!("1:{text}")).unwrap();
            assert_eq!(faults.strike("GET", "/v1/x"), Some((fault, when)), "{text}");
        }
    }

    #[test]
    fn a_malformed_spec_is_refused() {
        for spec in [
            "reset",
            "0:reset",
            "x:reset",
            "1:",
            "1:explode",
            "1:error=nonsense",
            "1:status=99",
            "1:delay=3",
            "1:reset@later",
            "GET servers:reset",
            "1-x:reset",
            "1:reset=1",
            "1:action=",
        ] {
            let error = Faults::parse(spec).expect_err(spec);
            assert!(error.starts_with("fault '"), "{error}");
        }
    }
}
