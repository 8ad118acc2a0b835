//! What EC2 instances cost, with their disks and public addresses.

use std::collections::BTreeSet;

use serde_json::Value;

use super::known::{known_flag, known_list, known_number, known_text, referenced};
use super::prices::{self, Prices};
use crate::template::evaluate::Resources;

/// GiB of the root volume of Amazon Linux, the default.
const ROOT_VOLUME: f64 = 8.0;
/// What Amazon's images call their root volume.
const ROOT_DEVICES: [&str; 2] = ["/dev/xvda", "/dev/sda1"];
/// What a volume of gp3 has without a further price.
const INCLUDED: [(&str, f64); 2] = [("Iops", 3000.0), ("Throughput", 125.0)];

/// An instance with its volumes and its public address, also from its launch template.
///
/// # Errors
/// Why the price is not known.
pub(super) fn instance(properties: &Value, all: &Resources, prices: &Prices) -> Result<Vec<(f64, String)>, String> {
    let launch = launch_template(&properties["LaunchTemplate"], all)?;
    let property = |name: &str| if properties[name].is_null() { &launch[name] } else { &properties[name] };
    let kind = known_text(property("InstanceType"), "the instance type")?;
    let kind = kind.ok_or("the instance type is not in the template")?;
    listed(property)?;
    let price = prices.instance(&kind).ok_or_else(|| format!("no price for {kind}"))?;
    let mut parts = vec![(price, kind)];
    parts.extend(disks(property("BlockDeviceMappings"), prices)?);
    if has_address(property, all)? {
        parts.push((prices::ADDRESS, "public IPv4 address".to_owned()));
    }
    Ok(parts)
}

/// The instances that an Auto Scaling group starts with.
///
/// # Errors
/// Why the price is not known.
pub(super) fn group(properties: &Value, all: &Resources, prices: &Prices) -> Result<Vec<(f64, String)>, String> {
    if !properties["MixedInstancesPolicy"].is_null() {
        return Err("its instances are of several types".to_owned());
    }
    let number = |name: &str| known_number(&properties[name], "the number of instances");
    let wanted = match number("DesiredCapacity")? {
        None => number("MinSize")?,
        wanted => wanted,
    };
    let wanted = wanted.ok_or("the number of instances is not in the template")?;
    let each = instance(properties, all, prices)?;
    Ok(each.into_iter().map(|(price, what)| (price * wanted, format!("{wanted} × {what}"))).collect())
}

/// A volume: an EBS block device or an `AWS::EC2::Volume`. `size` is that of its image, if it has one.
///
/// # Errors
/// Why the price is not known.
pub(super) fn volume(disk: &Value, size: Option<f64>, prices: &Prices) -> Result<(f64, String), String> {
    let given = ["VolumeSize", "Size"].into_iter().find(|name| !disk[*name].is_null()).unwrap_or("Size");
    let given = known_number(&disk[given], "the size of a volume")?;
    let size = size.filter(|_| disk["SnapshotId"].is_null());
    let size = given.or(size).ok_or("the size of a volume is that of its snapshot")?;
    let kind = known_text(&disk["VolumeType"], "the type of a volume")?.unwrap_or_else(|| "gp2".to_owned());
    for (name, included) in INCLUDED {
        let more = known_number(&disk[name], "the speed of a volume")?.is_some_and(|given| given > included);
        if more && kind == "gp3" {
            return Err(format!("no price for {name} of a volume"));
        }
    }
    let price = prices.volume(&kind, size).ok_or_else(|| format!("no price for a volume of type {kind}"))?;
    Ok((price, format!("{size} GB {kind}")))
}

/// What a launch template says; null without one.
fn launch_template<'a>(reference: &Value, all: &'a Resources) -> Result<&'a Value, String> {
    if reference.is_null() {
        return Ok(&Value::Null);
    }
    let names = ["LaunchTemplateId", "LaunchTemplateName"];
    let found = names.into_iter().find_map(|name| referenced(&reference[name], all));
    let found = found.filter(|one| one.kind == "AWS::EC2::LaunchTemplate");
    Ok(&found.ok_or("its launch template is not in this template")?.properties["LaunchTemplateData"])
}

/// That an instance has the price of the list, which is that of Linux on shared machines.
fn listed<'a>(property: impl Fn(&str) -> &'a Value) -> Result<(), String> {
    let placement = property("Placement");
    let tenancy = if placement.is_null() { property("Tenancy") } else { &placement["Tenancy"] };
    if known_text(tenancy, "its tenancy")?.is_some_and(|tenancy| tenancy != "default") {
        return Err("no price for dedicated machines".to_owned());
    }
    if !property("InstanceMarketOptions").is_null() {
        return Err("Spot prices vary".to_owned());
    }
    // The name in the parameter store says which system an image has.
    if property("ImageId").to_string().to_ascii_lowercase().contains("windows") {
        return Err("no price for Windows".to_owned());
    }
    Ok(())
}

/// The disks of an instance. Its root volume has the size of the image where no mapping says another.
fn disks(mappings: &Value, prices: &Prices) -> Result<Vec<(f64, String)>, String> {
    let (mut parts, mut has_root) = (Vec::new(), false);
    for mapping in known_list(mappings, "which disks it has")? {
        let device = known_text(&mapping["DeviceName"], "which disks it has")?;
        let is_root = device.is_none_or(|device| ROOT_DEVICES.contains(&device.as_str()));
        has_root |= is_root;
        match &mapping["Ebs"] {
            Value::Null => {}
            disk => parts.push(volume(disk, is_root.then_some(ROOT_VOLUME), prices)?),
        }
    }
    if !has_root {
        let price = prices.volume("gp3", ROOT_VOLUME).ok_or("no price for gp3")?;
        parts.insert(0, (price, format!("{ROOT_VOLUME} GB root volume")));
    }
    Ok(parts)
}

/// Whether an instance has a public address: its interface says so, or else its subnet.
fn has_address<'a>(property: impl Fn(&str) -> &'a Value, all: &Resources) -> Result<bool, String> {
    let unknown = "whether it has a public address";
    let interfaces = known_list(property("NetworkInterfaces"), unknown)?;
    let mut subnet = property("SubnetId");
    for interface in interfaces {
        if let Some(asked) = known_flag(&interface["AssociatePublicIpAddress"], unknown)? {
            return Ok(asked);
        }
        if !interface["NetworkInterfaceId"].is_null() {
            return Err(format!("{unknown} is not in the template"));
        }
        subnet = if interface["SubnetId"].is_null() { subnet } else { &interface["SubnetId"] };
    }
    let of_group = known_list(property("VPCZoneIdentifier"), unknown)?;
    let subnets = if of_group.is_empty() { std::slice::from_ref(subnet) } else { of_group };
    let mut answers = BTreeSet::new();
    for subnet in subnets {
        let found = referenced(subnet, all).filter(|one| one.kind == "AWS::EC2::Subnet");
        let found = found.ok_or_else(|| format!("{unknown} is not in the template"))?;
        answers.insert(known_flag(&found.properties["MapPublicIpOnLaunch"], unknown)? == Some(true));
    }
    match answers.into_iter().collect::<Vec<_>>().as_slice() {
        [answer] => Ok(*answer),
        _ => Err(format!("{unknown} depends on the subnet")),
    }
}
