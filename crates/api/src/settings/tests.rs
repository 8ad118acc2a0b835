use super::*;

fn read(vars: &[(&str, &str)]) -> Result<Settings, Invalid> {
    Settings::from_vars(vars.iter().map(|(name, value)| (name.to_string(), value.to_string())))
}

#[test]
fn nothing_has_to_be_set() {
    let settings = read(&[]).unwrap();
    assert_eq!((settings.ids, settings.database), (Ids::Memory, None));
}

#[test]
fn ids_of_all_instances_need_a_database() {
    let database = [("PGHOST", "db"), ("PGUSER", "ann")];
    let settings = read(&[&database[..], &[("API_IDS", "postgres"), ("API_IDS_BLOCK", "7")]].concat()).unwrap();
    assert!(settings.ids == Ids::Postgres { block: 7 } && settings.database.is_some());
    let missing = read(&[("API_IDS", "postgres")]).unwrap_err().to_string();
    assert!(missing.contains("PGHOST is missing") && missing.contains("PGUSER is missing"), "{missing}");
    for (name, value) in [("API_IDS", "paper"), ("API_IDS_BLOCK", "0"), ("API_IDS_BLOCK", "1000001")] {
        let problem = read(&[(name, value)]).unwrap_err().to_string();
        assert!(problem.contains(&format!("{name} is {value:?}")), "{problem}");
    }
}
