//! The unit for systemd, as systemd itself reads it.

#[cfg(target_os = "linux")]
use std::process::Command;

use super::{has_time_to_finish, plan, read};

fn value(unit: &str, key: &str) -> String {
    let found = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    found.unwrap_or_else(|| panic!("no {key}")).to_owned()
}

#[test]
fn the_service_is_given_the_time_that_its_config_may_take_to_finish() {
    let unit = read("easel.service");
    let grace = humantime::parse_duration(&value(&unit, "TimeoutStopSec")).unwrap();
    has_time_to_finish("easel.service", &plan("deploy/easel.yaml", &read("easel.yaml")), grace);
}

#[cfg(target_os = "linux")]
#[test]
fn systemd_knows_every_line_of_the_unit_and_finds_little_that_the_service_could_break() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("easel.service");
    // systemd looks whether what it is to start is there.
    let unit = read("easel.service").replace("/usr/bin/easel", env!("CARGO_BIN_EXE_easel"));
    std::fs::write(&path, unit).unwrap();
    let analyze = |arguments: &[&str]| {
        let output = Command::new("systemd-analyze").args(arguments).arg(&path).output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), said)
    };
    let (well, said) = analyze(&["verify", "--man=no", "--recursive-errors=no"]);
    assert!(well && said.trim().is_empty(), "{said}");
    // Of 100, the less the better: systemd calls anything below 20 well locked up.
    let (well, said) = analyze(&["security", "--offline=true", "--threshold=20"]);
    assert!(well, "{said}");
}
