//! Tells of a proxy that the environment names and Easel does not use.

use crate::config::EnvAndFiles;

/// The variables that tell other programs of a proxy.
const PROXIES: [&str; 6] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];

/// A line on a proxy that the environment names, which is not used; `None` where it names none. Its address is not told:
/// it may hold a password.
pub fn ignored_proxy(lookup: &dyn EnvAndFiles) -> Option<String> {
    let is_set = |name: &&str| lookup.var(name).is_some_and(|value| !value.is_empty());
    let set: Vec<&str> = PROXIES.into_iter().filter(is_set).collect();
    let verb = if set.len() == 1 { "is" } else { "are" };
    (!set.is_empty()).then(|| {
        format!(
            "{} {verb} set and ignored: Easel connects to providers directly, not through a proxy. Where there is no \
             other way out, let base_url name a gateway inside the network.",
            set.join(", "),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    struct ProxyEnv(&'static [(&'static str, &'static str)]);

    impl EnvAndFiles for ProxyEnv {
        fn var(&self, name: &str) -> Option<String> {
            self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        }

        fn file(&self, _path: &Path) -> Result<String, String> {
            Err("no files here".to_owned())
        }
    }

    #[test]
    fn a_proxy_that_the_environment_names_is_told_to_be_ignored_and_its_password_is_not_told() {
        let told = ignored_proxy(&ProxyEnv(&[("https_proxy", "http://me:s3cret@proxy:3128")])).unwrap();
        assert!(told.starts_with("https_proxy is set and ignored") && !told.contains("s3cret"), "{told}");
        let told = ignored_proxy(&ProxyEnv(&[("HTTPS_PROXY", "p"), ("ALL_PROXY", "p")])).unwrap();
        assert!(told.starts_with("HTTPS_PROXY, ALL_PROXY are set and ignored"), "{told}");
        assert_eq!(ignored_proxy(&ProxyEnv(&[("NO_PROXY", "*"), ("HTTPS_PROXY", "")])), None);
    }
}
