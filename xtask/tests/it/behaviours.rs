//! The tests that documents name exist, and every required behaviour has one; `docs/behaviours.md` is the list of them.

use std::fs;

use crate::sources::{self, root};

const PAGE: &str = "docs/behaviours.md";
/// Set to write the page instead of comparing it.
const BLESS: &str = "BLESS_BEHAVIOURS";
/// Fewest words of a test's name; other names in the documents are shorter.
const WORDS: usize = 4;

const HEAD: &str = "\
# Known problems of other deploy tools

Read from the issue threads of deploy tools for AWS and containers. `xtask/tests/it/behaviours.rs` names the tests that hold
each behaviour, and writes this page.

| # | elsewhere | here |
|---|---|---|
";

struct Behaviour {
    elsewhere: &'static str,
    here: &'static str,
    /// The tests that hold it.
    tests: &'static [&'static str],
}

const BEHAVIOURS: [Behaviour; 19] = [
    Behaviour {
        elsewhere: "A stack in ROLLBACK_COMPLETE blocks every deployment.",
        here: "The release says why the earlier attempt failed, deletes the stack and creates it again, after confirmation, unless a resource would stay.",
        tests: &[
            "a_dead_stack_is_deleted_and_created_again_in_the_same_run",
            "the_earlier_failure_is_reported_before_a_dead_stack_is_deleted",
            "a_dead_stack_with_a_retained_resource_is_never_deleted",
            "a_stuck_rollback_continues_without_the_resources_that_are_skipped",
            "a_missing_stack_and_one_in_review_are_created_with_rollback_said_aloud",
            "every_status_of_the_sdk_has_an_answer_and_an_ending",
        ],
    },
    Behaviour {
        elsewhere: "The cause is hidden among cancelled resources.",
        here: "The first real cause comes first, with the template's line and the next step, also inside nested stacks.",
        tests: &[
            "the_real_cause_comes_before_cancelled_resources_with_location_and_console_link",
            "the_cause_is_found_inside_nested_stacks",
            "early_validation_names_property_and_place",
            "denied_describe_events_does_not_hide_the_stacks_history",
            "a_release_that_fails_and_is_rolled_back",
        ],
    },
    Behaviour {
        elsewhere: "\"No updates are to be performed\" fails the pipeline.",
        here: "Nothing to do is success, and the endpoint is still verified.",
        tests: &[
            "both_messages_of_an_empty_change_set_are_success_and_leave_none_behind",
            "a_first_release_and_then_one_with_nothing_to_do",
        ],
    },
    Behaviour {
        elsewhere: "The stack is updated and the old image still runs.",
        here: "The image is a digest, never a tag; on EC2 a new one makes a new instance.",
        tests: &[
            "a_service_template_takes_an_image_by_digest_and_gives_a_url",
            "a_template_has_no_moving_tag",
            "user_data_reaches_a_new_instance",
            "nothing_then_everything_then_the_change_only",
        ],
    },
    Behaviour {
        elsewhere: "API Gateway serves an old deployment.",
        here: "A changed API has a Deployment with a new name.",
        tests: &["a_changed_api_has_a_new_deployment", "an_api_proxies_the_root_and_every_path"],
    },
    Behaviour {
        elsewhere: "The deployment is green, and an old or dead service answers.",
        here: "Success is five correct answers in a row from the pushed digest.",
        tests: &[
            "the_right_image_must_answer_several_times",
            "another_image_is_distinguished_from_no_answer",
            "endpoints_that_are_not_right",
            "a_wrong_version_rolls_back_before_any_user_sees_it",
            "a_verified_version_reaches_the_users",
        ],
    },
    Behaviour {
        elsewhere: "A failure is reported after hours.",
        here: "A container that exits is a failure within seconds, with its log.",
        tests: &[
            "a_container_that_exits_fails_at_once",
            "an_unhealthy_container_fails",
            "a_crash_loop_is_reported_within_seconds_with_exit_code_and_log",
            "a_healthy_roll_is_never_called_hopeless",
            "an_update_that_can_only_fail_is_cancelled_only_with_yes",
            "an_instance_that_did_not_boot_shows_the_end_of_its_boot_log",
            "a_rollback_by_ecs_is_reported_in_its_own_words",
        ],
    },
    Behaviour {
        elsewhere: "Two deployments collide; a dead one's lock stays.",
        here: "The second one reports the holder, or waits. A lock without a heartbeat expires.",
        tests: &[
            "the_second_command_sees_the_holder_and_stops",
            "a_waiting_command_gets_the_lock_when_it_is_given_back",
            "a_dead_holders_lock_expires",
            "a_holder_that_only_seems_dead_keeps_the_lock",
            "a_process_that_was_killed_on_this_machine_does_not_block_the_next_run",
            "who_holds_the_environment_is_seen_and_can_be_overruled",
            "a_running_operation_is_followed_first_unless_no_follow_is_given",
        ],
    },
    Behaviour {
        elsewhere: "Credentials expire in the middle.",
        here: "The time left is checked first; a release that loses its credentials says what still runs.",
        tests: &[
            "credentials_that_have_expired_are_reported_as_such",
            "an_expired_session_is_reported_with_the_login_command",
            "a_wrong_clock_is_reported_in_minutes",
            "credentials_that_end_before_the_release_would_are_refused",
            "another_account_than_the_environment_allows",
            "every_step_under_every_fault_is_as_published",
        ],
    },
    Behaviour {
        elsewhere: "The repository is missing, or an image that was needed expired.",
        here: "The repository is created, expires untagged images only, and `prune` keeps what runs or a rollback needs.",
        tests: &[
            "a_missing_repository_is_none_and_has_no_images",
            "the_lifecycle_policy_only_expires_untagged_images",
            "images_that_run_or_that_one_can_go_back_to_are_never_removed",
            "a_removal",
            "nothing_then_everything_then_the_change_only",
        ],
    },
    Behaviour {
        elsewhere: "A push fails silently.",
        here: "Its stream is read to the end, and the registry's own message is shown.",
        tests: &[
            "everything_that_is_missing_comes_in_one_list",
            "a_registry_that_refuses",
            "a_wrong_password_is_one_clear_error",
        ],
    },
    Behaviour {
        elsewhere: "The image is for another architecture.",
        here: "It is refused before the push.",
        tests: &[
            "the_platform_follows_the_environment_then_the_template",
            "an_image_for_another_processor_is_stopped_before_the_push",
        ],
    },
    Behaviour {
        elsewhere: "Every run builds and pushes everything.",
        here: "Sources that were compiled and content that was pushed are not again.",
        tests: &[
            "a_first_release_and_then_one_with_nothing_to_do",
            "the_tag_follows_content_platform_and_arguments_only",
        ],
    },
    Behaviour {
        elsewhere: "Throttling makes a successful deployment fail.",
        here: "Calls are retried; the stack's own state decides.",
        tests: &[
            "throttled_polls_do_not_end_watching",
            "events_that_cannot_be_read_decide_nothing",
            "a_proxys_answer_is_no_refusal",
            "every_step_under_every_fault_is_as_published",
        ],
    },
    Behaviour {
        elsewhere: "No rollback, or one whose image is gone.",
        here: "`rollback` deploys an earlier release without a rebuild, and verifies it.",
        tests: &[
            "one_goes_back_to_the_release_before_and_not_to_nothing",
            "a_rollback_builds_and_pushes_nothing",
            "going_back_twice_goes_on_back_and_not_forward_again",
            "nothing_then_everything_then_the_change_only",
        ],
    },
    Behaviour {
        elsewhere: "Progress bars fill the pipeline's log.",
        here: "Without a terminal, one plain line for each change of state.",
        tests: &[
            "a_first_release_and_then_one_with_nothing_to_do",
            "an_operation_that_is_followed_ends_as_its_release_would_have",
            "a_release_reports_everything_but_an_error",
        ],
    },
    Behaviour {
        elsewhere: "A job may not assume its role, or its credentials expire after an hour.",
        here: "The refusal shows the token's claims; credentials are renewed.",
        tests: &[
            "a_refusal_names_the_claims_and_not_the_token",
            "credentials_that_are_about_to_expire_are_renewed_with_another_token",
            "a_job_learns_what_is_missing",
            "a_job_without_an_account_to_keep_to_is_refused_before_anything",
        ],
    },
    Behaviour {
        elsewhere: "What was reviewed is not what is deployed.",
        here: "Exactly the plan's file is applied, by a role that the plan's job does not have.",
        tests: &[
            "from_a_fork_to_a_release_and_back",
            "a_plan_is_applied_exactly_or_refused",
            "a_release_goes_where_it_was_planned_for",
        ],
    },
    Behaviour {
        elsewhere: "A pull request shows no changes, or needs a role that can write.",
        here: "One comment, updated, by a role that only reads.",
        tests: &[
            "diff_says_what_a_change_set_says_and_drift_what_was_done_by_hand",
            "an_existing_comment_is_updated_wherever_it_is",
            "reading_and_planning_commands_need_only_their_permissions",
        ],
    },
];

#[test]
fn every_behaviour_names_tests() {
    let sources = sources();
    for Behaviour { elsewhere, tests, .. } in &BEHAVIOURS {
        assert!(!tests.is_empty(), "{elsewhere} has no test");
        for name in *tests {
            assert!(is_test(name, &sources), "{elsewhere} names {name}, which there is not");
        }
    }
}

#[test]
fn the_page_lists_every_behaviour() {
    let rows = BEHAVIOURS.iter().zip(1..).map(|(point, number)| {
        let Behaviour { elsewhere, here, .. } = point;
        format!("| {number} | {elsewhere} | {here} |\n")
    });
    let page = HEAD.to_owned() + &rows.collect::<String>();
    if std::env::var_os(BLESS).is_some() {
        fs::write(root().join(PAGE), &page).unwrap();
    }
    assert_eq!(fs::read_to_string(root().join(PAGE)).unwrap(), page, "{BLESS}=1 writes {PAGE} anew");
}

#[test]
fn every_test_that_a_document_names_exists() {
    let sources = sources();
    let documents = sources::files(&root().join("docs")).into_iter().chain([root().join("ARCHITECTURE.md")]);
    for path in documents.filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(&path).unwrap();
        let looks_like_one = |name: &&str| {
            let is_name = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
            is_name && name.split('_').count() >= WORDS
        };
        for name in text.split('`').skip(1).step_by(2).filter(looks_like_one) {
            assert!(is_test(name, &sources), "{} names {name}, which there is not", path.display());
        }
    }
}

#[test]
fn every_link_to_a_file_leads_to_one() {
    let mut broken = Vec::new();
    let mut count = 0;
    for path in sources::files(&root()).into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = fs::read_to_string(&path).unwrap();
        // A block is a file of elsewhere, or an example.
        let text: String = text.split("```").step_by(2).collect();
        for target in text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0)) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains("://") || file.contains([' ', '{']) {
                continue;
            }
            count += 1;
            if !path.parent().unwrap().join(file).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(count > 50 && broken.is_empty(), "{}", broken.join("\n"));
}

fn sources() -> String {
    sources::all().into_iter().map(|source| source.text).collect()
}

/// Whether there is a function of that name, or a named test of a suite without a harness.
fn is_test(name: &str, sources: &str) -> bool {
    sources.contains(&format!("fn {name}(")) || sources.contains(&format!("::{name}\""))
}
