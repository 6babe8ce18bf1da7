//! Whether a store keeps to the condition that commits rest on: what is to be made must not be there already.
//!
//! Of two processes that commit the same version of a table one must fail. A store that writes over what is there lets both succeed, and
//! what the first one told is gone.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, Result};

/// The folder, beside those of the tables, in which it is tried.
const FOLDER: &str = "_probe";

/// Tries it in a folder, with an object of a name that is used once and that is deleted again.
pub(super) async fn are_kept(store: &dyn ObjectStore, folder: &Path) -> Result<bool> {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos());
    let object = folder.clone().join(FOLDER).join(format!("{}-{nanos}", std::process::id()));
    let create = || store.put_opts(&object, Bytes::from_static(b"probe").into(), PutMode::Create.into());
    let created = match create().await {
        Ok(_) => create().await,
        refused => refused,
    };
    let kept = match created {
        Ok(_) => Ok(false),
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(true),
        // It says that it cannot: it would not make a table either.
        Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    store.delete(&object).await?;
    kept
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use async_trait::async_trait;
    use futures::StreamExt;
    use futures::stream::BoxStream;
    use object_store::memory::InMemory;
    use object_store::{
        CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    };

    use super::*;

    /// A store that writes over what is there, whatever it is told.
    #[derive(Debug, Default)]
    struct Careless(InMemory);

    impl fmt::Display for Careless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("careless")
        }
    }

    #[async_trait]
    impl ObjectStore for Careless {
        async fn put_opts(&self, at: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
            self.0.put_opts(at, payload, PutOptions { mode: PutMode::Overwrite, ..options }).await
        }

        async fn put_multipart_opts(&self, at: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
            self.0.put_multipart_opts(at, options).await
        }

        async fn get_opts(&self, at: &Path, options: GetOptions) -> Result<GetResult> {
            self.0.get_opts(at, options).await
        }

        fn delete_stream(&self, paths: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
            self.0.delete_stream(paths)
        }

        fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
            self.0.list(prefix)
        }

        async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
            self.0.list_with_delimiter(prefix).await
        }

        async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
            self.0.copy_opts(from, to, options).await
        }
    }

    #[tokio::test]
    async fn a_store_that_writes_over_what_is_there_is_found_out_and_nothing_is_left_of_the_trial() {
        let (careful, careless, folder) = (InMemory::new(), Careless::default(), Path::from("tables"));
        assert!(are_kept(&careful, &folder).await.unwrap());
        assert!(!are_kept(&careless, &folder).await.unwrap());
        assert_eq!((careful.list(None).count().await, careless.list(None).count().await), (0, 0));
    }
}
