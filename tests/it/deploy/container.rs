//! The container's image: what is in it, and whether Easel works there.

use std::process::Command;

use super::{asks_health, beside_python, deploy, plan, printed, read, words};

#[test]
fn hadolint_finds_nothing_in_the_dockerfile_whose_health_check_easel_understands() {
    let said = printed(beside_python("hadolint").arg("--failure-threshold=style").arg(deploy().join("Dockerfile")));
    assert_eq!(said, "");
    let dockerfile = read("Dockerfile");
    let (_, command) = dockerfile.split_once("HEALTHCHECK ").and_then(|(_, rest)| rest.split_once("CMD ")).unwrap();
    let command = words(&serde_json::from_str(command.lines().next().unwrap()).unwrap());
    // The usual port.
    let config = read("easel.yaml");
    asks_health("Dockerfile", &plan("deploy/easel.yaml", &config), &command);
    assert!(dockerfile.contains("\nUSER 65532:65532\n"), "Easel is not root");
}

/// Every file below a directory, without the directory's own path.
#[cfg(target_os = "linux")]
fn files(root: &std::path::Path) -> Vec<String> {
    let listed = printed(Command::new("find").arg(root).args(["-not", "-type", "d", "-printf", "/%P\n"]));
    let mut files: Vec<String> = listed.lines().map(str::to_owned).collect();
    files.sort();
    files
}

#[cfg(target_os = "linux")]
#[test]
fn easel_draws_in_the_file_system_of_its_image_in_which_there_is_nothing_else() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let root = folder.path().join("root");
    printed(Command::new(deploy().join("image-root")).arg(env!("CARGO_BIN_EXE_easel")).arg(&root));
    let (libraries, others): (Vec<String>, Vec<String>) =
        files(&root).into_iter().partition(|file| file.starts_with("/lib"));
    assert_eq!(
        others,
        ["/etc/group", "/etc/nsswitch.conf", "/etc/passwd", "/etc/ssl/certs/ca-certificates.crt", "/usr/bin/easel"]
    );
    assert!(!libraries.is_empty() && libraries.iter().all(|library| library.contains(".so")), "{libraries:?}");
    // Whoever may change the root directory does; others make a name space in which they may.
    let root_user = printed(Command::new("id").arg("-u")).trim() == "0";
    let mut command = Command::new(if root_user { "chroot" } else { "unshare" });
    if root_user {
        command.arg("--userspec=65532:65532").arg(&root);
    } else {
        command.args(["--map-root-user", "--root"]).arg(&root);
    }
    command.args(["/usr/bin/easel", "demo", "--exit", "--out", "/tmp/pictures"]);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    let _alone = crate::commands::demo_alone();
    let said = printed(&mut command);
    assert!(said.contains("the providers' invoices say"), "{said}");
}
