//! The sizes of the tasks that Fargate runs
//! (<https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-tasks-services.html>).

use serde_json::Value;

use super::value::text;

/// The size of a task definition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TaskSize {
    /// 1024 are a vCPU.
    pub cpu: f64,
    /// In MiB.
    pub memory: f64,
}

impl TaskSize {
    /// From the properties of a task definition, in numbers or in words (`1 vCPU`, `2 GB`).
    pub fn read(definition: &Value) -> Option<Self> {
        let units = |name: &str, word: &str| {
            let value = text(&definition[name])?.trim().to_ascii_lowercase();
            match value.strip_suffix(word) {
                Some(number) => number.trim().parse::<f64>().ok().map(|number| number * 1024.0),
                None => value.parse().ok(),
            }
        };
        Some(Self { cpu: units("Cpu", "vcpu")?, memory: units("Memory", "gb")? })
    }
}

/// Why Fargate does not run a task definition of this size; `None` if it does, if the task is not for Fargate, or if its
/// size is not known.
pub fn size_problem(definition: &Value) -> Option<String> {
    let mut compatibilities = definition["RequiresCompatibilities"].as_array()?.iter();
    let size = compatibilities.any(|one| one == "FARGATE").then(|| TaskSize::read(definition))??;
    let shown = |name: &str| text(&definition[name]).unwrap_or_default();
    let fits = |allowed: &u32, given: f64| (f64::from(*allowed) - given).abs() < 0.5;
    let Some((_, memories)) = sizes().into_iter().find(|(cpu, _)| fits(cpu, size.cpu)) else {
        let all: Vec<String> = sizes().iter().map(|(cpu, _)| cpu.to_string()).collect();
        return Some(format!("Fargate has no Cpu {}; allowed: {}", shown("Cpu"), all.join(", ")));
    };
    if memories.iter().any(|memory| fits(memory, size.memory)) {
        return None;
    }
    let allowed = match memories.as_slice() {
        [first, second, .., last] if memories.len() > 5 => {
            format!("{first} to {last} in steps of {}", second - first)
        }
        few => few.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
    };
    let (cpu, memory) = (shown("Cpu"), shown("Memory"));
    Some(format!("Fargate does not combine Cpu {cpu} with Memory {memory}; allowed with it: {allowed}"))
}

/// Every CPU, with the memory that goes with it.
fn sizes() -> [(u32, Vec<u32>); 8] {
    let steps = |first: u32, last: u32, step: usize| (first..=last).step_by(step).collect();
    [
        (256, vec![512, 1024, 2048]),
        (512, steps(1024, 4096, 1024)),
        (1024, steps(2048, 8192, 1024)),
        (2048, steps(4096, 16_384, 1024)),
        (4096, steps(8192, 30_720, 1024)),
        (8192, steps(16_384, 61_440, 4096)),
        (16_384, steps(32_768, 122_880, 8192)),
        (32_768, vec![61_440, 122_880, 249_856]),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn task(cpu: &str, memory: &str) -> Value {
        json!({"RequiresCompatibilities": ["EC2", "FARGATE"], "Cpu": cpu, "Memory": memory})
    }

    #[test]
    fn sizes_are_read_in_numbers_and_in_words() {
        for (cpu, memory) in [("1024", "2048"), ("1 vCPU", "2 GB"), ("1vcpu", "2gb"), (" 1.0 vCPU", "2.0 GB ")] {
            let expected = TaskSize { cpu: 1024.0, memory: 2048.0 };
            assert_eq!(TaskSize::read(&task(cpu, memory)), Some(expected), "{cpu} {memory}");
        }
        assert_eq!(TaskSize::read(&json!({"Cpu": 256, "Memory": 512})), Some(TaskSize { cpu: 256.0, memory: 512.0 }));
        assert_eq!(TaskSize::read(&json!({"Cpu": {"Ref": "A"}, "Memory": 512})), None);
        assert_eq!(TaskSize::read(&json!({"Cpu": "256"})), None);
    }

    #[test]
    fn only_sizes_of_fargate_are_accepted() {
        for (cpu, memory) in [("256", "512"), (".25 vCPU", "0.5 GB"), ("2048", "16384"), ("16 vCPU", "120 GB")] {
            assert_eq!(size_problem(&task(cpu, memory)), None, "{cpu} {memory}");
        }
        assert_eq!(
            size_problem(&task("256", "4096")).unwrap(),
            "Fargate does not combine Cpu 256 with Memory 4096; allowed with it: 512, 1024, 2048"
        );
        assert_eq!(
            size_problem(&task("2 vCPU", "1 GB")).unwrap(),
            "Fargate does not combine Cpu 2 vCPU with Memory 1 GB; allowed with it: 4096 to 16384 in steps of 1024"
        );
        assert!(size_problem(&task("8192", "17408")).unwrap().ends_with("16384 to 61440 in steps of 4096"));
        assert!(
            size_problem(&task("300", "512")).unwrap().starts_with("Fargate has no Cpu 300; allowed: 256, 512, 1024,")
        );
        assert_eq!(size_problem(&json!({"Cpu": "300", "Memory": "512"})), None, "it may run on an instance");
        assert_eq!(size_problem(&json!({"RequiresCompatibilities": ["FARGATE"], "Cpu": {"Ref": "A"}})), None);
    }
}
