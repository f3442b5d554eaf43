// PM2, beside the app's own file: `pm2 start camarad-sidecar.config.cjs`.
//
// The app stays on 5051 (an older file of it listens on 8000: CAMARAD_APP_PORT=8000).
// The sidecar writes its own logs, which logrotate moves; PM2's are for what comes before.
const app = process.env.CAMARAD_APP_PORT || "5051";

// PM2 stops with SIGINT, by which the sidecar leaves at once; SIGTERM drains (5 s) and waits
// for what is under way (10 s).
const run = [
  "/usr/local/bin/camarad-sidecar run & pid=$!",
  "trap 'kill -TERM $pid' INT TERM",
  "while kill -0 $pid 2>/dev/null; do wait $pid; status=$?; done",
  "exit $status",
].join("\n");

module.exports = {
  apps: [
    {
      name: "camarad-sidecar",
      script: "/bin/sh",
      args: ["-c", run],
      interpreter: "none",
      exec_mode: "fork",
      instances: 1,
      autorestart: true,
      min_uptime: "5s",
      max_restarts: 10,
      restart_delay: 1000,
      kill_timeout: 20000,
      // The shell hands the signal on; PM2 must not send its own to the sidecar.
      treekill: false,
      env: {
        LEGACY_URL: `http://127.0.0.1:${app}`,
        SIDECAR_LISTEN: "127.0.0.1:5050",
        SIDECAR_ADMIN_LISTEN: "127.0.0.1:9150",
        SIDECAR_COOLBITS_LISTEN: "127.0.0.1:8789",
        SIDECAR_JWT_SECRET_FILE: "/etc/camarad-sidecar/jwt",
        SIDECAR_JWT_USER_CLAIM: "uid",
        SIDECAR_SEAL_KEY_FILE: "/etc/camarad-sidecar/seal",
        SIDECAR_ADMIN_TOKEN_FILE: "/etc/camarad-sidecar/admin",
        COOLBITS_URL: "http://127.0.0.1:8788",
        COOLBITS_GATEWAY_ENABLED: "off",
        SIDECAR_STATE_DIR: "/var/lib/camarad-sidecar",
        SIDECAR_ACCESS_LOG: "/var/log/camarad-sidecar/access.log",
        SIDECAR__SERVER__LOG: "/var/log/camarad-sidecar/sidecar.log",
        SIDECAR__AUDIT__LOG: "/var/log/camarad-sidecar/audit.log",
      },
    },
  ],
};
