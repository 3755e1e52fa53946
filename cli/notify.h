/* notify.h - tells systemd how the service is (sd_notify(3)), without its library. */
#ifndef CLI_NOTIFY_H
#define CLI_NOTIFY_H

/* Sends "READY=1", "STOPPING=1" ...; does nothing unless systemd asked for it. */
void notify_send(const char *state);

#endif
