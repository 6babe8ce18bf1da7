//! Functions of Postgres that tools call and `datafusion-pg-catalog` lacks, or answers for another server than this.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility};
use datafusion::scalar::ScalarValue;

use super::catalogue::{CATALOGUE, Who};
use super::settings::SERVER_VERSION;

/// Whom everything belongs to, as the catalogue tells.
pub(super) const OWNER: &str = "cloudigrade";

/// Functions whose answer is the same for all rows: what they say of one connection.
pub(super) fn of_connection(who: &Who) -> Vec<ScalarUDF> {
    let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
    let (no_text, no_number) = (ScalarValue::Utf8(None), ScalarValue::Int64(None));
    let version = format!("PostgreSQL {SERVER_VERSION} (cloudigrade {})", env!("CARGO_PKG_VERSION"));
    let mut functions: Vec<ScalarUDF> = Vec::new();
    let mut constant = |names: &[&str], value: &ScalarValue| {
        functions.extend(names.iter().map(|name| ScalarUDF::new_from_impl(Constant::new(name, value.clone()))));
    };
    constant(&["version"], &text(&version));
    constant(&["session_user", "current_user", "current_role"], &text(&who.user));
    constant(&["pg_get_userbyid"], &text(OWNER));
    constant(&["current_database", "current_catalog"], &text(CATALOGUE));
    constant(&["pg_backend_pid"], &ScalarValue::Int32(Some(who.pid)));
    constant(&["pg_client_encoding", "getdatabaseencoding"], &text("UTF8"));
    constant(&["pg_is_in_recovery", "pg_is_wal_replay_paused", "pg_is_other_temp_schema"], &ScalarValue::Boolean(Some(false)));
    constant(&["pg_my_temp_schema"], &ScalarValue::Int32(Some(0)));
    constant(
        &[
            "pg_function_is_visible",
            "pg_type_is_visible",
            "pg_operator_is_visible",
            "pg_opclass_is_visible",
            "pg_opfamily_is_visible",
            "pg_collation_is_visible",
            "pg_conversion_is_visible",
            "pg_statistics_obj_is_visible",
            "pg_ts_config_is_visible",
            "pg_ts_dict_is_visible",
            "pg_ts_parser_is_visible",
            "pg_ts_template_is_visible",
        ],
        &ScalarValue::Boolean(Some(true)),
    );
    constant(
        &[
            "obj_description",
            "col_description",
            "shobj_description",
            "pg_get_viewdef",
            "pg_get_indexdef",
            "pg_get_triggerdef",
            "pg_get_ruledef",
            "pg_get_functiondef",
            "pg_get_function_arguments",
            "pg_get_function_identity_arguments",
            "pg_get_function_result",
            "pg_get_function_sqlbody",
            "pg_get_function_arg_default",
            "pg_get_statisticsobjdef",
            "pg_get_serial_sequence",
            "pg_tablespace_location",
            "pg_size_pretty",
            "pg_describe_object",
            "pg_get_partition_constraintdef",
            "inet_server_addr",
            "inet_client_addr",
        ],
        &no_text,
    );
    constant(&["pg_database_size", "pg_table_size", "pg_indexes_size", "pg_tablespace_size", "age", "inet_server_port"], &no_number);
    constant(&["pg_char_to_encoding"], &ScalarValue::Int32(Some(6)));
    functions.push(ScalarUDF::new_from_impl(CurrentSetting::new(Arc::clone(&who.settings))));
    functions
}

fn any_arguments() -> Signature {
    Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable)
}

/// A function that says one thing, whatever it is asked.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Constant {
    name: String,
    value: ScalarValue,
    signature: Signature,
}

impl Constant {
    fn new(name: &str, value: ScalarValue) -> Self {
        Self { name: name.to_owned(), value, signature: any_arguments() }
    }
}

impl ScalarUDFImpl for Constant {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value.clone()))
    }
}

/// `current_setting(name [, missing_ok])`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct CurrentSetting {
    settings: Arc<BTreeMap<String, String>>,
    signature: Signature,
}

impl CurrentSetting {
    fn new(settings: Arc<BTreeMap<String, String>>) -> Self {
        Self { settings, signature: Signature::one_of(vec![TypeSignature::Any(1), TypeSignature::Any(2)], Volatility::Stable) }
    }
}

impl ScalarUDFImpl for CurrentSetting {
    fn name(&self) -> &str {
        "current_setting"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let are_all_scalars = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let names = cast(&arrays[0], &DataType::Utf8)?;
        let names = names.as_string::<i32>();
        let mut values = Vec::with_capacity(names.len());
        for row in 0..names.len() {
            let missing_ok = arrays.get(1).and_then(|array| array.as_boolean_opt()).is_some_and(|ok| ok.is_valid(row) && ok.value(row));
            let value = names.is_valid(row).then(|| self.settings.get(&names.value(row).to_lowercase()));
            match value {
                Some(None) if !missing_ok => return exec_err!("unrecognized configuration parameter {:?}", names.value(row)),
                value => values.push(value.flatten().cloned()),
            }
        }
        if are_all_scalars && values.len() == 1 {
            return Ok(ColumnarValue::Scalar(ScalarValue::Utf8(values.remove(0))));
        }
        Ok(ColumnarValue::Array(Arc::new(StringArray::from(values)) as ArrayRef))
    }
}
