//! Where the neighbours of a digest are. A digest names objects of the bucket that CloudTrail wrote to; it may have been read from a copy
//! of that bucket, or of a part of it, in another bucket or on a disk. Its own path there tells how to get from the one to the other.

/// Where CloudTrail put an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct S3Place {
    /// The bucket.
    pub bucket: String,
    /// The object's key.
    pub key: String,
}

impl S3Place {
    /// `s3://bucket/key`.
    pub fn uri(&self) -> String {
        format!("s3://{}/{}", self.bucket, self.key)
    }
}

/// The key of an S3 object, or a file's path.
pub fn key_of_uri(uri: &str) -> &str {
    uri.strip_prefix("s3://").and_then(|rest| rest.split_once('/')).map_or(uri, |(_, key)| key)
}

/// From where CloudTrail put objects to where they were found, learned from one object of which both are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy<'a> {
    bucket: &'a str,
    /// What keys begin with that the copy does not have,
    stripped: &'a str,
    /// and what its URIs begin with instead. `None`: it is no copy, or cannot be told from one.
    base: Option<&'a str>,
    /// Only the name of the file was the same: all files may lie in one folder.
    flat: bool,
}

impl<'a> Copy<'a> {
    /// Learns from an object that CloudTrail put at `place` and that was found at `uri`.
    pub fn of(uri: &'a str, place: &'a S3Place) -> Self {
        let shared = uri.rsplit('/').zip(place.key.rsplit('/')).take_while(|(found, put)| found == put).count();
        let shared_bytes = place.key.rsplit('/').take(shared).map(|part| part.len() + 1).sum::<usize>().saturating_sub(1);
        let is_copy = shared > 0 && uri != place.uri();
        let stripped = &place.key[..place.key.len() - shared_bytes];
        Self { bucket: &place.bucket, stripped, base: is_copy.then(|| &uri[..uri.len() - shared_bytes]), flat: shared == 1 }
    }

    /// Whether the object is where it was put, or in a copy under its own name.
    pub fn keeps_names(uri: &str, place: &S3Place) -> bool {
        let put = place.uri();
        if let Some(rest) = uri.strip_prefix("s3://")
            && rest.split_once('/').is_some_and(|(bucket, _)| bucket == place.bucket)
        {
            return uri == put;
        }
        uri.rsplit('/').next() == place.key.rsplit('/').next()
    }

    /// Where another object is, that CloudTrail put at `place`. What would lead out of the copy is looked for in the bucket itself.
    pub fn uri_of(&self, place: &S3Place) -> String {
        let Some(base) = self.base.filter(|_| place.bucket == self.bucket) else { return place.uri() };
        let below = match place.key.strip_prefix(self.stripped) {
            Some(below) => below,
            None if self.flat => place.key.rsplit('/').next().unwrap_or(&place.key),
            None => return place.uri(),
        };
        let stays = below.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if stays { format!("{base}{below}") } else { place.uri() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(key: &str) -> S3Place {
        S3Place { bucket: "b".into(), key: key.into() }
    }

    #[test]
    fn objects_are_found_in_the_bucket_in_copies_of_it_and_in_copies_of_parts() {
        let digest = place("pre/AWSLogs/1/CloudTrail-Digest/r/2015/d.json.gz");
        let log = place("pre/AWSLogs/1/CloudTrail/r/2015/l.json.gz");
        for (found, expected) in [
            ("s3://b/pre/AWSLogs/1/CloudTrail-Digest/r/2015/d.json.gz", "s3://b/pre/AWSLogs/1/CloudTrail/r/2015/l.json.gz"),
            ("s3://copy/pre/AWSLogs/1/CloudTrail-Digest/r/2015/d.json.gz", "s3://copy/pre/AWSLogs/1/CloudTrail/r/2015/l.json.gz"),
            ("s3://copy/x/AWSLogs/1/CloudTrail-Digest/r/2015/d.json.gz", "s3://copy/x/AWSLogs/1/CloudTrail/r/2015/l.json.gz"),
            ("/disk/pre/AWSLogs/1/CloudTrail-Digest/r/2015/d.json.gz", "/disk/pre/AWSLogs/1/CloudTrail/r/2015/l.json.gz"),
            ("/disk/CloudTrail-Digest/r/2015/d.json.gz", "/disk/CloudTrail/r/2015/l.json.gz"),
            ("/disk/d.json.gz", "/disk/l.json.gz"),
            // Only the digests were copied, and nothing is known of the logs.
            ("/disk/r/2015/d.json.gz", "s3://b/pre/AWSLogs/1/CloudTrail/r/2015/l.json.gz"),
            ("/disk/renamed.json.gz", "s3://b/pre/AWSLogs/1/CloudTrail/r/2015/l.json.gz"),
        ] {
            assert_eq!(Copy::of(found, &digest).uri_of(&log), expected, "{found}");
        }
        let other = S3Place { bucket: "other".into(), ..log };
        assert_eq!(Copy::of("/disk/d.json.gz", &digest).uri_of(&other), other.uri());
    }

    #[test]
    fn no_key_leads_out_of_a_copy() {
        let digest = place("AWSLogs/d.json.gz");
        for key in ["AWSLogs/../../etc/passwd", "AWSLogs//etc/passwd", "../x"] {
            assert_eq!(Copy::of("/disk/AWSLogs/d.json.gz", &digest).uri_of(&place(key)), place(key).uri());
        }
    }

    #[test]
    fn an_object_of_another_name_than_its_own_was_moved() {
        let digest = place("AWSLogs/d.json.gz");
        assert!(Copy::keeps_names("s3://b/AWSLogs/d.json.gz", &digest));
        assert!(Copy::keeps_names("s3://copy/d.json.gz", &digest));
        assert!(Copy::keeps_names("/disk/d.json.gz", &digest));
        assert!(!Copy::keeps_names("s3://b/d.json.gz", &digest));
        assert!(!Copy::keeps_names("/disk/e.json.gz", &digest));
    }
}
