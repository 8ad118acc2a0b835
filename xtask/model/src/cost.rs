//! The fixed monthly cost of a stack, and how a release changes it.
//!
//! Pure. Only what is billed by the hour or the month is counted; traffic, storage and logs depend on use.

mod charges;
mod databases;
mod known;
mod machines;
mod prices;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::template::evaluate::{self, Pseudo};
use charges::Charge;

/// Changes below this are rounding.
const CENT: f64 = 0.005;
/// How many resources the line of text names.
const NAMED: usize = 3;

/// The monthly cost of a template with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// What costs something, by logical id.
    pub items: Vec<Item>,
    /// Resources whose price is not known.
    pub unknown: Vec<UnpricedResource>,
    /// Which prices these are, and what they leave out.
    pub basis: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub logical_id: String,
    pub resource_type: String,
    pub monthly_usd: f64,
    /// What is paid for: `t3.micro, 12 GB gp3, public IPv4 address`.
    pub what: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnpricedResource {
    /// The resource's name in the template.
    #[serde(rename = "resource")]
    pub logical_id: String,
    /// CloudFormation's name for the kind of resource.
    #[serde(rename = "type")]
    pub resource_type: String,
    /// Why its price is not known.
    pub reason: String,
}

impl Estimate {
    /// The sum of all items, without these resources.
    fn total(&self, without: &[UnpricedResource]) -> f64 {
        let counted = self.items.iter().filter(|item| is_priced(without, &item.logical_id));
        // The sum of nothing is a negative zero.
        counted.map(|item| item.monthly_usd).sum::<f64>() + 0.0
    }

    fn item(&self, logical_id: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.logical_id == logical_id)
    }
}

/// What a change does to the monthly cost. It is part of the plan file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CostDifference {
    /// What the stack costs now, in US dollars a month.
    pub before_usd: f64,
    /// What it will cost, in US dollars a month.
    pub after_usd: f64,
    /// How much more, in US dollars a month.
    pub difference_usd: f64,
    /// What differs, the largest difference first.
    pub items: Vec<ChangedItem>,
    /// Resources whose price is not known, now or afterwards. They are in no sum.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub unknown: Vec<UnpricedResource>,
    /// Which prices these are, and what they leave out.
    pub basis: String,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChangedItem {
    /// The resource's name in the template.
    pub resource: String,
    /// What is paid for.
    pub what: String,
    /// What it costs now, in US dollars a month.
    pub before_usd: f64,
    /// What it will cost, in US dollars a month.
    pub after_usd: f64,
}

impl ChangedItem {
    fn by(&self) -> f64 {
        self.after_usd - self.before_usd
    }
}

/// Estimates the monthly cost of a stack of this template. Parameters that are left out have the template's default.
///
/// # Errors
/// A template that cannot be read.
pub fn monthly<'a>(
    template_body: &str,
    parameters: &BTreeMap<String, String>,
    known: impl Into<Pseudo<'a>>,
) -> Result<Estimate, String> {
    let known = known.into();
    let region = known.region;
    let evaluated = evaluate::evaluate(template_body, parameters, known)?;
    let prices = prices::for_region(region);
    let unpriced = |(logical_id, resource_type): &(String, String), reason: &str| UnpricedResource {
        logical_id: logical_id.clone(),
        resource_type: resource_type.clone(),
        reason: reason.to_owned(),
    };
    let uncertain = evaluated.uncertain.iter().map(|one| unpriced(one, "whether it exists is only known at AWS"));
    let uncounted = evaluated.uncounted.iter().map(|one| unpriced(one, "what comes of it is only known at AWS"));
    let mut unknown: Vec<UnpricedResource> = uncertain.chain(uncounted).collect();
    let mut items = Vec::new();
    for (logical_id, resource) in &evaluated.resources {
        let (logical_id, resource_type) = (logical_id.clone(), resource.kind.clone());
        match charges::charge(&logical_id, resource, &evaluated.resources, prices) {
            Charge::Nothing => {}
            Charge::Unknown(reason) => unknown.push(UnpricedResource { logical_id, resource_type, reason }),
            Charge::Parts(parts) => {
                let monthly_usd = parts.iter().map(|(price, _)| price).sum();
                let what = parts.into_iter().map(|(_, what)| what).collect::<Vec<_>>().join(", ");
                items.push(Item { logical_id, resource_type, monthly_usd, what });
            }
        }
    }
    let stand_in = if prices.region == region { String::new() } else { format!(" (approximate for {region})") };
    let basis =
        format!("on-demand list prices of {}{stand_in} as of {}, 730 h, without traffic", prices.region, prices::AS_OF);
    Ok(Estimate { items, unknown, basis })
}

/// Compares two estimates; `before` is `None` if there is no stack yet. A resource whose price is unknown in one of them is
/// counted in neither: what it costs in the other would look like money saved or spent.
pub fn difference(before: Option<&Estimate>, after: &Estimate) -> CostDifference {
    let mut unknown = after.unknown.clone();
    for one in before.into_iter().flat_map(|before| &before.unknown) {
        if is_priced(&unknown, &one.logical_id) {
            unknown.push(one.clone());
        }
    }
    let of = |estimate: Option<&Estimate>, id: &str| estimate.and_then(|e| e.item(id)).map_or(0.0, |i| i.monthly_usd);
    let both = before.into_iter().chain([after]);
    let ids: BTreeSet<&str> = both.flat_map(|e| e.items.iter().map(|item| item.logical_id.as_str())).collect();
    let changed = |id: &str| {
        let item = after.item(id).or_else(|| before?.item(id))?;
        let (before_usd, after_usd) = (cents(of(before, id)), cents(of(Some(after), id)));
        let changed = ChangedItem { resource: id.to_owned(), what: item.what.clone(), before_usd, after_usd };
        (changed.by().abs() > CENT).then_some(changed)
    };
    let mut items: Vec<ChangedItem> =
        ids.into_iter().filter(|id| is_priced(&unknown, id)).filter_map(changed).collect();
    items.sort_by(|left, right| right.by().abs().total_cmp(&left.by().abs()));
    let total = |estimate: &Estimate| cents(estimate.total(&unknown));
    let (before_usd, after_usd) = (before.map_or(0.0, total), total(after));
    let difference_usd = cents(after_usd - before_usd);
    CostDifference { before_usd, after_usd, difference_usd, items, unknown, basis: after.basis.clone() }
}

/// How the monthly cost changes, if it can be estimated: from template and parameters before (`None` for a new stack)
/// to those after.
pub fn change<'a>(
    before: Option<(&str, &BTreeMap<String, String>)>,
    after: (&str, &BTreeMap<String, String>),
    known: impl Into<Pseudo<'a>>,
) -> Option<CostDifference> {
    let known = known.into();
    let earlier = before.map(|(body, parameters)| monthly(body, parameters, known)).transpose().ok()?;
    let later = monthly(after.0, after.1, known).ok()?;
    Some(difference(earlier.as_ref(), &later))
}

fn is_priced(unknown: &[UnpricedResource], id: &str) -> bool {
    unknown.iter().all(|one| one.logical_id != id)
}

fn cents(usd: f64) -> f64 {
    (usd * 100.0).round() / 100.0
}

/// The one line that is shown before the confirmation.
impl std::fmt::Display for CostDifference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let approximate = if self.basis.contains("approximate") { "approximately" } else { "about" };
        let total = format!("{approximate} {:.0} USD", self.after_usd);
        if self.items.is_empty() {
            write!(f, "no change of the fixed monthly cost ({total})")?;
        } else {
            let by = self.difference_usd;
            // Below ten a whole dollar is too coarse, and "+0" would be wrong.
            let sum = if by.abs() < 10.0 { format!("{by:+.2}") } else { format!("{by:+.0}") };
            let named = self.items.iter().take(NAMED).map(|item| format!("{} {:+.2}", item.resource, item.by()));
            let named = named.collect::<Vec<_>>().join(", ");
            let more = if self.items.len() > NAMED { ", …" } else { "" };
            write!(f, "{total} a month ({sum}: {named}{more})")?;
        }
        if !self.unknown.is_empty() {
            let names = self.unknown.iter().map(|one| format!("{} ({})", one.logical_id, one.resource_type));
            write!(f, "; without {}, of unknown price", names.collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub mod tests;
