//! From YAML text to a [`plan::Plan`], or to a list of everything that is wrong with it.
pub mod plan;
pub struct Kind {
    pub name: &'static str,
    pub default_base_url: Option<&'static str>,
    pub needs_key: bool,
    pub known_models: &'static [&'static str],
}
pub trait Lookup {
    fn var(&self, name: &str) -> Option<String>;
    fn file(&self, path: &std::path::Path) -> Result<String, String>;
}
pub struct Source<'a> {
    pub name: &'a str,
    pub text: &'a str,
}
#[derive(Debug)]
pub struct Problems;
impl std::fmt::Display for Problems {
    fn fmt(&self, _f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}
pub fn load(_s: &Source<'_>, _k: &[Kind], _l: &dyn Lookup) -> Result<plan::Plan, Problems> {
    Err(Problems)
}
