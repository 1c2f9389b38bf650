//! Regions of AWS, by how they are written.

/// Where in a continent a region is.
const WHERE: [&str; 9] = [
    "central",
    "north",
    "south",
    "east",
    "west",
    "northeast",
    "northwest",
    "southeast",
    "southwest",
];

/// What hosts of AWS in a region end in.
pub(in crate::adapters) fn suffix(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "amazonaws.com.cn"
    } else {
        "amazonaws.com"
    }
}

/// The region that speaks for the users of all regions of the same partition: keys that it gives are good in each of them.
pub(in crate::adapters) fn home(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "cn-north-1"
    } else if region.starts_with("us-gov-") {
        "us-gov-west-1"
    } else {
        "us-east-1"
    }
}

/// Whether it is written as a region such as `eu-central-1`, and is not the name of another service below the domain of AWS.
pub(in crate::adapters) fn is_region(name: &str) -> bool {
    let labels: Vec<&str> = name.split('-').collect();
    let (continent, place, number) = match labels.as_slice() {
        ["us", "gov", place, number] => ("us", place, number),
        [continent, place, number] => (*continent, place, number),
        _ => return false,
    };
    continent.len() == 2
        && continent.bytes().all(|b| b.is_ascii_lowercase())
        && WHERE.contains(place)
        && matches!(
            number.as_bytes(),
            [b'1'..=b'9'] | [b'1'..=b'9', b'0'..=b'9']
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_no_other_word_below_the_domain_of_aws() {
        for region in [
            "eu-central-1",
            "us-gov-west-1",
            "cn-north-1",
            "ap-southeast-10",
            "il-central-1",
        ] {
            assert!(is_region(region), "{region}");
        }
        for other in [
            "s3",
            "eu",
            "eu-1",
            "execute-api",
            "eu-central-",
            "",
            "EU-west-1",
            "eu-evil-1",
            "eu-central-01",
            "eu-central-100",
            "eu-central-west-1",
            "eu-gov-west-1",
            "x-central-1",
            "eusc-central-1",
        ] {
            assert!(!is_region(other), "{other}");
        }
    }

    #[test]
    fn a_partition_has_one_region_that_speaks_for_its_users() {
        for (region, speaks) in [
            ("eu-central-1", "us-east-1"),
            ("cn-northwest-1", "cn-north-1"),
            ("us-gov-east-1", "us-gov-west-1"),
        ] {
            assert_eq!(home(region), speaks);
        }
    }
}
