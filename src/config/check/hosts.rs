//! Lists of hosts.

use crate::config::check::checker::Checker;
use crate::config::node_path::NodePath;
use crate::config::plan::{HostRule, NoHost};

/// Names of hosts, `*.` in front of those that stand for any below, with a port behind them or without.
pub(super) fn hosts(checker: &mut Checker<'_>, hosts: &[String], at: NodePath<'_>) -> Vec<HostRule> {
    let mut rules = Vec::new();
    for (index, host) in hosts.iter().enumerate() {
        match host.parse() {
            Ok(rule) => rules.push(rule),
            Err(NoHost) => {
                let place = at.item(index);
                let help = "write the host alone, like cdn.example.com, *.example.com or cdn.local:8443".to_owned();
                checker.report(place, format!("{} is not a host", place.shown()), help);
            }
        }
    }
    rules
}
