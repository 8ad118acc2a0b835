//! What databases of RDS cost, with their storage.

use serde_json::Value;

use super::known::{known_flag, known_number, known_text, referenced};
use super::prices::Prices;
use crate::template::evaluate::Resources;

/// The class of an instance of Aurora Serverless v2.
const SERVERLESS: &str = "db.serverless";
/// Properties with prices of their own.
const FURTHER: [&str; 4] = ["DedicatedLogVolume", "Iops", "PerformanceInsightsRetentionPeriod", "StorageThroughput"];

/// A database instance with its storage, or the least capacity of one of Aurora, whose cluster has the storage.
///
/// # Errors
/// Why the price is not known.
pub(super) fn instance(properties: &Value, all: &Resources, prices: &Prices) -> Result<Vec<(f64, String)>, String> {
    let class = known_text(&properties["DBInstanceClass"], "the instance class")?;
    let class = class.ok_or("the instance class is not in the template")?;
    let engine = known_text(&properties["Engine"], "its engine")?.ok_or("its engine is not in the template")?;
    match engine.as_str() {
        "postgres" => own(properties, class, prices),
        "aurora-postgresql" if class == SERVERLESS => serverless(properties, all, prices),
        _ => Err(format!("no price for {class} of {engine}")),
    }
}

fn own(properties: &Value, class: String, prices: &Prices) -> Result<Vec<(f64, String)>, String> {
    if let Some(name) = FURTHER.iter().find(|name| !properties[**name].is_null()) {
        return Err(format!("no price for {name} of a database"));
    }
    let price = prices.database(&class).ok_or_else(|| format!("no price for {class}"))?;
    let storage = known_text(&properties["StorageType"], "the type of its storage")?.unwrap_or_default();
    let size = known_number(&properties["AllocatedStorage"], "the size of its storage")?;
    let (true, Some(size)) = (storage == "gp3", size) else {
        return Err("no price for storage other than gp3 of a given size".to_owned());
    };
    let is_double = known_flag(&properties["MultiAZ"], "whether it has a standby")? == Some(true);
    let (times, class) = if is_double { (2.0, format!("{class} in two zones")) } else { (1.0, class) };
    Ok(vec![(price * times, class), (prices.database_storage() * size * times, format!("{size} GB gp3"))])
}

/// Storage and what is above the least capacity are billed by use.
fn serverless(properties: &Value, all: &Resources, prices: &Prices) -> Result<Vec<(f64, String)>, String> {
    let cluster = referenced(&properties["DBClusterIdentifier"], all);
    let cluster = &cluster.ok_or("its cluster is not in the template")?.properties;
    if known_text(&cluster["StorageType"], "the type of its storage")?.is_some_and(|kind| kind != "aurora") {
        return Err("no price for storage other than Aurora's standard".to_owned());
    }
    let least = &cluster["ServerlessV2ScalingConfiguration"]["MinCapacity"];
    let least = known_number(least, "its least capacity")?.ok_or("its least capacity is not in the template")?;
    Ok(if least > 0.0 { vec![(prices.capacity_unit() * least, format!("at least {least} ACU"))] } else { Vec::new() })
}
