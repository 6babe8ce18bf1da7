//! What a failed call says, in one line, and what to do where AWS was not asked at all.

use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

/// What to do for credentials.
pub const CREDENTIALS: &str = "give credentials in one of AWS's usual ways (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, the role of the instance or task)";

/// AWS's code and message, or what kept the call from reaching AWS. Never anything of the request.
pub fn told<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => match error {
            SdkError::ServiceError(answer) => format!("HTTP {} without a reason", answer.raw().status().as_u16()),
            _ => innermost(error),
        },
    }
}

/// What to do: as is given for what AWS answered, else as for what kept the call from reaching AWS.
pub fn help<E: std::error::Error + 'static>(error: &SdkError<E>, answered: &'static str) -> &'static str {
    match error {
        SdkError::DispatchFailure(failure) if !failure.is_timeout() && !failure.is_io() && lacks_credentials(error) => CREDENTIALS,
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => "check the network, the region and aws.endpoint_url",
        SdkError::ConstructionFailure(_) if lacks_credentials(error) => CREDENTIALS,
        _ => answered,
    }
}

/// The SDK signs a call before it sends it, and has no variant for that it could not.
fn lacks_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    let told = DisplayErrorContext(error).to_string();
    told.contains("credential") || told.contains("identity")
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};

    use super::*;

    #[tokio::test]
    async fn without_credentials_it_is_credentials_that_are_asked_for_in_one_line() {
        let config = aws_sdk_sts::Config::builder().behavior_version(BehaviorVersion::latest()).region(Region::new("us-east-1"));
        let client = aws_sdk_sts::Client::from_conf(config.build());
        let error = client.get_caller_identity().send().await.unwrap_err();
        assert_eq!(help(&error, "never asked"), CREDENTIALS, "{error:?}");
        assert!(!told(&error).contains('\n'), "{}", told(&error));
    }

    #[tokio::test]
    async fn without_an_answer_it_is_the_network_that_is_to_be_checked() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", taken.local_addr().unwrap());
        drop(taken);
        let config = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("us-east-1")).endpoint_url(endpoint);
        let credentials = aws_sdk_sts::config::Credentials::new("testing", "testing", None, None, "test");
        let config = config.credentials_provider(credentials).retry_config(aws_config::retry::RetryConfig::disabled()).load().await;
        let error = aws_sdk_sts::Client::new(&config).get_caller_identity().send().await.unwrap_err();
        assert!(help(&error, "never asked").contains("the network"), "{error:?}");
    }
}
