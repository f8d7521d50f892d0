use super::*;
use crate::client::request::{Call, Request};
use crate::client::transport::{Response, SendError};

/// What an attempt may end with, made the way the client makes it.
fn failure(what: &str) -> Failure {
    let cause = || Box::new(std::io::Error::other("for the test"));
    let outcome = match what {
        "not sent" => Err(SendError::NotSent(cause())),
        "no answer" => Err(SendError::NoAnswer(cause())),
        "timed out" => Err(SendError::TimedOut(cause())),
        "garbage" => Ok((201, "<html>".to_owned())),
        answer => {
            let (status, code) = answer.split_once(' ').unwrap_or((answer, ""));
            let body = if code.is_empty() {
                "<html>".to_owned()
            } else {
                format!(r#"{{"error":{{"code":"{code}","message":"m","details":null}}}}"#)
            };
            Ok((status.parse().unwrap(), body))
        }
    };
    let call = Call::<serde_json::Value> {
        request: Request::get("/x", "read x"),
        read: |body| Ok(serde_json::from_slice(body)?),
    };
    let response = outcome.map(|(status, body): (u16, String)| Response {
        status,
        report: None,
        correlation_id: None,
        body: body.into_bytes(),
    });
    crate::client::failure::read(&call, response).unwrap_err()
}

#[test]
fn the_table_of_failures_holds() {
    use Class::{Final, Locked, Passing, Quota, Unknown};
    // What happened, for what may be sent twice, for what may not.
    let table = [
        ("not sent", Passing, Passing),
        ("no answer", Passing, Unknown),
        ("timed out", Passing, Unknown),
        ("garbage", Passing, Unknown),
        ("500 server_error", Passing, Unknown),
        ("502 bad_gateway", Passing, Unknown),
        ("503 unavailable", Passing, Unknown),
        ("504 timeout", Passing, Unknown),
        ("500", Passing, Unknown),
        ("502", Passing, Unknown),
        ("503", Passing, Unknown),
        ("504", Passing, Unknown),
        ("409 conflict", Passing, Passing),
        ("423 locked", Locked, Locked),
        ("423", Locked, Locked),
        ("429 rate_limit_exceeded", Quota, Quota),
        ("429", Quota, Quota),
        // What must not be tried again.
        ("302", Final, Final),
        ("400 json_error", Final, Final),
        ("401 unauthorized", Final, Final),
        ("401 token_readonly", Final, Final),
        ("401", Final, Final),
        ("403 forbidden", Final, Final),
        ("403 maintenance", Final, Final),
        ("403 resource_limit_exceeded", Final, Final),
        ("404 not_found", Final, Final),
        ("404", Final, Final),
        ("405 method_not_allowed", Final, Final),
        ("409 uniqueness_error", Final, Final),
        ("410 deprecated_api_endpoint", Final, Final),
        ("412 resource_unavailable", Final, Final),
        ("412 primary_ip_version_mismatch", Final, Final),
        ("422 invalid_input", Final, Final),
        ("422 service_error", Final, Final),
        ("422 unsupported_error", Final, Final),
        ("422 placement_error", Final, Final),
        ("422 no_space_left_in_location", Final, Final),
        ("422 invalid_server_type", Final, Final),
        ("422 server_not_stopped", Final, Final),
        ("422 volume_already_attached", Final, Final),
        ("422 limit_exceeded_error", Final, Final),
        ("422 a_code_of_next_year", Final, Final),
        ("423 protected", Final, Final),
        ("500 a_code_of_next_year", Final, Final),
    ];
    for (what, freely, after_looking) in table {
        let failure = failure(what);
        assert_eq!(class(&failure, Repeat::Freely), freely, "{what}");
        assert_eq!(class(&failure, Repeat::AfterLooking), after_looking, "{what}");
        // The lock may be the lost request at work.
        let after_loss = if after_looking == Locked { Unknown } else { after_looking };
        assert_eq!(class(&failure, Repeat::AfterLoss), after_loss, "{what}");
    }
}

/// The pauses until the policy gives up, in seconds.
fn pauses(what: &str, jitter: f64) -> Vec<f64> {
    let (policy, mut spent) = (RetryPolicy::default(), Spent::default());
    let mut pauses = Vec::new();
    while let Verdict::Again(pause) =
        policy.decide(&failure(what), Repeat::Freely, &mut spent, jitter)
    {
        pauses.push(pause.as_secs_f64());
    }
    pauses
}

#[test]
fn passing_failures_are_tried_six_times_with_growing_pauses() {
    assert_eq!(pauses("502", 1.0), [1.0, 2.0, 4.0, 8.0, 16.0]);
    assert_eq!(pauses("502", 0.0), [0.5, 1.0, 2.0, 4.0, 8.0]);
}

#[test]
fn a_lock_and_a_used_up_quota_are_waited_out_at_a_steady_pace() {
    let locked = pauses("423 locked", 0.5);
    assert!(locked.iter().all(|pause| (pause - 2.0).abs() < 1e-9));
    assert_eq!(locked.len(), 150, "five minutes");
    let quota = pauses("429", 0.5);
    assert!(quota.iter().all(|pause| (pause - 3.0).abs() < 1e-9));
    assert_eq!(quota.len(), 100, "five minutes");
}

#[test]
fn waiting_for_a_lock_leaves_the_attempts_for_other_failures() {
    let (policy, mut spent) = (RetryPolicy::default(), Spent::default());
    for _ in 0..20 {
        let verdict = policy.decide(&failure("423 locked"), Repeat::Freely, &mut spent, 0.5);
        assert!(matches!(verdict, Verdict::Again(_)));
    }
    let verdict = policy.decide(&failure("502"), Repeat::Freely, &mut spent, 1.0);
    assert_eq!(verdict, Verdict::Again(Duration::from_secs(1)));
}

#[test]
fn a_lost_answer_is_never_followed_by_a_blind_repetition() {
    let policy = RetryPolicy::default();
    for what in ["no answer", "timed out", "garbage", "502", "500 server_error", "504 timeout"] {
        let verdict =
            policy.decide(&failure(what), Repeat::AfterLooking, &mut Spent::default(), 0.0);
        assert_eq!(verdict, Verdict::Lost, "{what}");
    }
}
