//! The measuring example, in its quick form.

use std::process::Command;

use super::running::program;

/// The output, cell by cell.
fn rows() -> Vec<Vec<String>> {
    let output = Command::new(program("throughput")).arg("--quick").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines()
        .map(|line| line.split("  ").map(|cell| cell.trim().to_owned()).filter(|cell| !cell.is_empty()).collect())
        .collect()
}

fn rate(cell: &str) -> f64 {
    cell.replace(',', "").parse().unwrap()
}

#[test]
fn throughput_measures_each_profile_and_each_number_of_threads() {
    let rows = rows();
    for profile in ["STANDARD", "LOW_MEMORY", "MACHINE_SECRET"] {
        let told: Vec<_> = rows.iter().filter(|row| row.first().is_some_and(|name| name == profile)).collect();
        let [hashes, restart] = told[..] else { panic!("{profile}: {rows:?}") };
        let [_, memory, one, all] = &hashes[..] else { panic!("{profile}: {hashes:?}") };
        assert!(memory.ends_with(" KiB") && rate(one) > 0.0 && rate(all) > 0.0, "{hashes:?}");
        assert_eq!(restart.len(), 4, "{restart:?}");
    }
    let cores = std::thread::available_parallelism().unwrap().to_string();
    for threads in ["1", &cores] {
        let told = rows.iter().find(|row| row.first().is_some_and(|name| name == threads)).unwrap();
        assert!(rate(&told[1]) > 0.0, "{told:?}");
    }
}
