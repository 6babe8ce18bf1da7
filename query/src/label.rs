//! What the image of an instance counts as, as a scalar function. It is made for one question, and has no name in SQL.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanBuilder, StringViewArray, StringViewBuilder};
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, col};

use crate::dimension::Dimension;
use crate::tables::{Label, Labels};

/// The label of `account_id` and `image_id` in one dimension.
pub(crate) struct ImageLabel {
    dimension: Dimension,
    labels: Arc<Labels>,
    signature: Signature,
}

impl ImageLabel {
    /// The label of each row, as an expression; `None` for a dimension that rows tell themselves.
    pub(crate) fn of_rows(dimension: Dimension, labels: &Arc<Labels>) -> Option<Expr> {
        if Dimension::OF_RUNS.contains(&dimension) {
            return None;
        }
        let signature = Signature::exact(vec![DataType::Utf8View, DataType::Utf8View], Volatility::Immutable);
        let function = ScalarUDF::from(Self { dimension, labels: Arc::clone(labels), signature });
        Some(function.call(vec![col("account_id"), col("image_id")]))
    }

    fn is_boolean(&self) -> bool {
        matches!(self.dimension, Dimension::Rhel | Dimension::Openshift)
    }

    /// Calls `push` with each row's label. Rows are mostly like those before them: labels are looked up where a text changes.
    fn each_row(&self, accounts: &StringViewArray, images: &StringViewArray, mut push: impl FnMut(Label<'_>)) {
        let mut last: Option<(usize, Label<'_>)> = None;
        for row in 0..images.len() {
            let image = images.is_valid(row).then(|| images.value(row));
            let label = match last {
                Some((before, label))
                    if images.is_valid(before) == image.is_some()
                        && image.is_none_or(|image| images.value(before) == image)
                        && accounts.value(before) == accounts.value(row) =>
                {
                    label
                }
                _ => self.labels.of(accounts.value(row), image, self.dimension),
            };
            last = Some((row, label));
            push(label);
        }
    }
}

impl fmt::Debug for ImageLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageLabel({})", self.dimension)
    }
}

impl PartialEq for ImageLabel {
    fn eq(&self, other: &Self) -> bool {
        self.dimension == other.dimension && Arc::ptr_eq(&self.labels, &other.labels)
    }
}

impl Eq for ImageLabel {}

impl Hash for ImageLabel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.dimension.hash(state);
    }
}

impl ScalarUDFImpl for ImageLabel {
    fn name(&self) -> &str {
        self.dimension.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.is_boolean() { DataType::Boolean } else { DataType::Utf8View })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [accounts, images] = args.args.as_slice() else { return internal_err!("a label is of an account and an image") };
        let (accounts, images) = (accounts.to_array(args.number_rows)?, images.to_array(args.number_rows)?);
        let (Some(accounts), Some(images)) = (accounts.as_string_view_opt(), images.as_string_view_opt()) else {
            return internal_err!("a label is of texts");
        };
        let labels: ArrayRef = if self.is_boolean() {
            let mut column = BooleanBuilder::with_capacity(images.len());
            self.each_row(accounts, images, |label| column.append_option(if let Label::Is(is) = label { is } else { None }));
            Arc::new(column.finish())
        } else {
            let mut column = StringViewBuilder::with_capacity(images.len()).with_deduplicate_strings();
            self.each_row(accounts, images, |label| column.append_option(if let Label::Word(word) = label { word } else { None }));
            Arc::new(column.finish())
        };
        Ok(ColumnarValue::Array(labels))
    }
}
