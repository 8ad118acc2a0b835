//! A Systems Manager that keeps parameters and their versions.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_sdk_ssm::Client;
use aws_sdk_ssm::error::ErrorMetadata;
use aws_sdk_ssm::operation::delete_parameter::DeleteParameterOutput;
use aws_sdk_ssm::operation::get_parameter::{GetParameterError, GetParameterOutput};
use aws_sdk_ssm::operation::get_parameters::GetParametersOutput;
use aws_sdk_ssm::operation::put_parameter::{PutParameterError, PutParameterOutput};
use aws_sdk_ssm::primitives::DateTime;
use aws_sdk_ssm::types::Parameter;
use aws_smithy_mocks::{MockResponse, RuleMode, mock, mock_client};

/// All versions of each parameter by its name.
pub(in crate::rollout::tests) type Stored = Arc<Mutex<BTreeMap<String, Vec<String>>>>;

pub(super) fn client(stored: &Stored) -> Client {
    let store = Arc::clone(stored);
    let put = mock!(Client::put_parameter).then_compute_response(move |input| {
        let mut store = store.lock().unwrap();
        let versions = store.entry(input.name().unwrap().to_owned()).or_default();
        if !versions.is_empty() && input.overwrite() != Some(true) {
            let error = ErrorMetadata::builder().code("ParameterAlreadyExists").build();
            return MockResponse::Error(PutParameterError::generic(error));
        }
        versions.push(input.value().unwrap().to_owned());
        let version = i64::try_from(versions.len()).unwrap();
        MockResponse::Output(PutParameterOutput::builder().version(version).build())
    });
    let store = Arc::clone(stored);
    let get_one =
        mock!(Client::get_parameter).then_compute_response(move |input| match read(&store, input.name().unwrap()) {
            Some(parameter) => MockResponse::Output(GetParameterOutput::builder().parameter(parameter).build()),
            None => {
                let error = ErrorMetadata::builder().code("ParameterNotFound").build();
                MockResponse::Error(GetParameterError::generic(error))
            }
        });
    let store = Arc::clone(stored);
    let get = mock!(Client::get_parameters).then_compute_output(move |input| {
        let found = input.names().iter().filter_map(|name| read(&store, name)).collect();
        GetParametersOutput::builder().set_parameters(Some(found)).build()
    });
    let store = Arc::clone(stored);
    let delete = mock!(Client::delete_parameter).then_compute_output(move |input| {
        store.lock().unwrap().remove(input.name().unwrap());
        DeleteParameterOutput::builder().build()
    });
    mock_client!(aws_sdk_ssm, RuleMode::MatchAny, [&put, &get_one, &get, &delete])
}

fn read(stored: &Stored, name: &str) -> Option<Parameter> {
    let store = stored.lock().unwrap();
    let versions = store.get(name)?;
    let now = DateTime::from(std::time::SystemTime::now());
    let version = i64::try_from(versions.len()).unwrap();
    Some(Parameter::builder().name(name).version(version).value(versions.last()?).last_modified_date(now).build())
}
