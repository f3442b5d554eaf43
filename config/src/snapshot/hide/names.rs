//! Names whose values are told, as no secrets are put there: what PM2 and systemd know, and a
//! few of the environment's. All others are hidden, whatever they are called.

use super::is_in;

/// What PM2 and systemd know.
const KNOWN: &str = " name script cwd interpreter exec_mode instances version watch watch_delay ignore_watch \
    watch_options followSymlinks usePolling max_memory_restart source_map_support instance_var min_uptime \
    listen_timeout kill_timeout shutdown_with_message wait_ready max_restarts restart_delay \
    exp_backoff_restart_delay autorestart cron_restart vizion force out_file error_file output error log_file log \
    log_date_format combine_logs merge_logs pid_file time log_type treekill namespace uid gid user ref path \
    append_env_to_name increment_var Description Documentation After Before Wants Requires Type User Group \
    WorkingDirectory Restart RestartSec TimeoutStopSec WantedBy EnvironmentFile LimitNOFILE StateDirectory \
    LogsDirectory RuntimeDirectory ";
/// Of the environment.
const ENVIRONMENT: &str = " NODE_ENV PORT HOST TZ LANG LC_ALL LOG_LEVEL RUST_LOG LEGACY_URL COOLBITS_URL \
    COOLBITS_GATEWAY_ENABLED ";

/// Whether what stands under the name is told; in an environment its own names alone.
pub(super) fn is_told(name: &str, in_env: bool) -> bool {
    is_in(ENVIRONMENT, name) || is_ours(name) || (!in_env && is_in(KNOWN, name))
}

/// Whether what stands under it is an environment.
pub(super) fn is_env(name: &str) -> bool {
    name == "env" || name == "environment" || name.starts_with("env_")
}

/// Our own names, but those that hold secrets themselves.
fn is_ours(name: &str) -> bool {
    let holds_one = ["SECRET", "TOKEN", "KEY", "PASS"]
        .iter()
        .any(|word| name.contains(word));
    name.starts_with("SIDECAR_") && (!holds_one || name.ends_with("_FILE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_where_no_secret_is_put() {
        for (name, anywhere, in_env) in [
            ("name", true, false),
            ("PORT", true, true),
            ("SIDECAR_LISTEN", true, true),
            ("SIDECAR_JWT_SECRET", false, false),
            ("SIDECAR_JWT_SECRET_FILE", true, true),
            ("SIDECAR__ADMIN__TOKEN", false, false),
            ("args", false, false),
            ("PORT HOST", false, false),
            ("", false, false),
        ] {
            assert_eq!(
                (is_told(name, false), is_told(name, true)),
                (anywhere, in_env),
                "{name}"
            );
        }
        assert!(is_env("env") && is_env("env_production") && !is_env("environs"));
    }
}
