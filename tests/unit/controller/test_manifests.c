/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/controller/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "controller/source/broker.h"
#include "controller/source/source.h"
#include "proto/broker.h"

#define POD(name) "{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: " name "}}\n"

/* A folder of its own for every test. */
struct folder {
	char path[64];
	struct bh_model *model;
	struct bh_manifests *manifests;
};

static int set_up(void **state)
{
	struct folder *folder = bh_xcalloc(1, sizeof(*folder));

	strcpy(folder->path, "/tmp/bulkhead-manifests-XXXXXX");
	if (!mkdtemp(folder->path))
		return -1;
	folder->model = bh_model_new("n1", BH_MODE_ENFORCE);
	*state = folder;
	return bh_manifests_open(folder->path, -1, folder->model, &folder->manifests);
}

static int tear_down(void **state)
{
	struct folder *folder = *state;
	char command[128];

	bh_manifests_free(folder->manifests);
	bh_model_free(folder->model);
	snprintf(command, sizeof(command), "rm -rf %s", folder->path);
	int r = system(command);

	free(folder);
	return r;
}

static const char *path_in(const struct folder *folder, const char *name)
{
	static char path[2][256];
	static int at;

	at = !at;
	snprintf(path[at], sizeof(path[at]), "%s/%s", folder->path, name);
	return path[at];
}

static void write_file(const struct folder *folder, const char *name, const char *text)
{
	FILE *file = fopen(path_in(folder, name), "w");

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static bool has_pod(const struct folder *folder, const char *name)
{
	return bh_model_pod_by_name(folder->model, "shop", name) != NULL;
}

static struct bh_manifests_status status_of(const struct folder *folder)
{
	struct bh_manifests_status status;

	bh_manifests_status(folder->manifests, &status);
	return status;
}

static void assert_problem(const struct folder *folder, size_t index, const char *code,
	const char *object, const char *text)
{
	struct bh_manifests_status status = status_of(folder);

	assert_true(index < status.n_problems);
	assert_string_equal(status.problems[index].object, object);
	assert_string_equal(status.problems[index].text, text);
	assert_string_equal(status.problems[index].code, code);
}

/* Drains until something relevant came, for a minute at most. */
static bool notices(const struct folder *folder)
{
	struct pollfd ready = {.fd = bh_manifests_fd(folder->manifests), .events = POLLIN};

	while (poll(&ready, 1, 60000) > 0) {
		if (bh_manifests_drain(folder->manifests))
			return true;
	}
	return false;
}

/* ---- Content ----------------------------------------------------------------------------------
 */

static void reads_yaml_json_lists_and_documents(void **state)
{
	struct folder *folder = *state;

	write_file(folder, "a.yaml", POD("a1") "---\n# nothing\n---\n" POD("a2"));
	write_file(folder, "b.yml",
		"kind: List\napiVersion: v1\nitems:\n- kind: Pod\n  apiVersion: v1\n  metadata: "
		"{namespace: shop, name: b1}\n- kind: Deployment\n  apiVersion: apps/v1\n");
	write_file(folder, "c.json",
		"{\"kind\": \"PodList\", \"apiVersion\": \"v1\", \"items\": [{\"metadata\": "
		"{\"namespace\": \"shop\", \"name\": \"c1\"}}]}");
	write_file(folder, "d.txt", POD("d1"));
	write_file(folder, ".e.yaml", POD("e1"));
	write_file(folder, "f.yaml~", POD("f1"));
	write_file(folder, "#g.yaml", POD("g1"));
	assert_int_equal(mkdir(path_in(folder, "h.yaml"), 0755), 0);
	assert_true(bh_manifests_rescan(folder->manifests));
	assert_true(has_pod(folder, "a1") && has_pod(folder, "a2") && has_pod(folder, "b1") &&
		    has_pod(folder, "c1"));
	assert_int_equal(bh_model_count_pods(folder->model), 4);
	assert_int_equal(status_of(folder).n_files, 3);
	assert_int_equal(status_of(folder).n_objects, 4);
	assert_int_equal(status_of(folder).n_problems, 0);
	assert_false(bh_manifests_rescan(folder->manifests));
	assert_int_equal(status_of(folder).scans, 2);
}

static void a_broken_file_changes_nothing_and_is_named(void **state)
{
	struct folder *folder = *state;

	write_file(folder, "a.yaml", POD("a"));
	write_file(folder, "b.yaml", POD("b"));
	bh_manifests_rescan(folder->manifests);
	write_file(folder, "a.yaml", POD("a") "---\nkind: Pod\n  oops: 1\n");
	assert_false(bh_manifests_rescan(folder->manifests));
	assert_true(has_pod(folder, "a"));
	assert_problem(folder, 0, "manifest-invalid", "a.yaml",
		"line 4: mapping values are not allowed in this context; its last good content "
		"stays in force");
	write_file(folder, "a.yaml", POD("c"));
	assert_true(bh_manifests_rescan(folder->manifests));
	assert_true(has_pod(folder, "c"));
	assert_false(has_pod(folder, "a"));
	assert_int_equal(status_of(folder).n_problems, 0);
}

static void a_file_broken_from_the_start_holds_nothing(void **state)
{
	struct folder *folder = *state;

	write_file(folder, "a.yaml", POD("a") "---\n[1, 2]\n");
	bh_manifests_rescan(folder->manifests);
	assert_false(has_pod(folder, "a"));
	assert_problem(folder, 0, "manifest-invalid", "a.yaml",
		"line 3: a manifest must be an object, not a list; nothing of it is in force");
}

static void an_object_of_the_wrong_shape_names_line_and_field(void **state)
{
	static const char *const cases[][2] = {
		{"kind: Pod\napiVersion: v1\nmetadata:\n  name: a\n  labels:\n    app: yes\n",
			"line 6: metadata.labels.app: must be a string, not a boolean: put it in "
			"quotes; nothing of it is in force"},
		{"kind: List\napiVersion: v1\nitems:\n- kind: Pod\n  apiVersion: v1\n  metadata: "
		 "{name: 1}\n",
			"line 6: items[0].metadata.name: must be a string, not an integer: put it "
			"in quotes; nothing of it is in force"},
		{"kind: Pod\napiVersion: v1\nmetadata: {}\n",
			"line 3: metadata: name is missing; nothing of it is in force"},
		{"kind: Pod\napiVersion: v1\nmetadata: {name: a b}\n",
			"line 3: metadata.name: \"a b\" is not a valid name; nothing of it is in "
			"force"},
		{"kind: Pod\napiVersion: v1\nmetadata: {name: a, namespace: 'x/y'}\n",
			"line 3: metadata.namespace: \"x/y\" is not a valid name; nothing of it is "
			"in force"},
		{"kind: Pod\napiVersion: v1\nmetadata: {name: a}\nstatus:\n  podIP: 10.0.0.300\n",
			"line 5: status.podIP: \"10.0.0.300\" is not an address; nothing of it is "
			"in force"},
		{"kind: Pod\napiVersion: v1\nmetadata: {name: a}\nstatus:\n  podIPs: [10.0.0.3]\n",
			"line 5: status.podIPs[0]: must be an object, not a string; nothing of it "
			"is in force"},
		{"kind: Node\napiVersion: v1\nmetadata: {name: a}\nstatus:\n  addresses: "
		 "[10.0.0.3]\n",
			"line 5: status.addresses[0]: must be an object, not a string; nothing of "
			"it is in force"},
		{"kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec:\n  hostNetwork: 'yes'\n",
			"line 5: spec.hostNetwork: must be true or false, not a string; nothing of "
			"it is in force"},
		{"kind: Pod\napiVersion: v1\nmetadata: {name: a}\nspec:\n  containers:\n  - "
		 "ports:\n    - {name: x, containerPort: 0}\n",
			"line 7: spec.containers[0].ports[0].containerPort: must be a number "
			"between 1 and 65535; nothing of it is in force"},
		{"apiVersion: v1\n", "line 1: kind is missing; nothing of it is in force"},
		{"kind: Pod\n", "line 1: apiVersion is missing; nothing of it is in force"},
		{"kind: NetworkPolicy\napiVersion: networking.k8s.io/v1\nmetadata:\n  name: p\n  "
		 "annotations: {bulkhead.io/mode: on}\n",
			"line 5: metadata.annotations[\"bulkhead.io/mode\"]: must be a string, not "
			"a boolean: put it in quotes; nothing of it is in force"},
	};
	struct folder *folder = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		write_file(folder, "a.yaml", cases[i][0]);
		bh_manifests_rescan(folder->manifests);
		assert_problem(folder, 0, "manifest-invalid", "a.yaml", cases[i][1]);
	}
}

static void an_object_twice_is_named_and_the_first_file_wins(void **state)
{
	struct folder *folder = *state;

	write_file(folder, "b.yaml",
		"{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: a}, status: {podIP: "
		"10.0.0.2}}");
	bh_manifests_rescan(folder->manifests);
	write_file(folder, "a.yaml",
		"{kind: Pod, apiVersion: v1, metadata: {namespace: shop, name: a}, status: {podIP: "
		"10.0.0.1}}");
	assert_true(bh_manifests_rescan(folder->manifests));
	assert_int_equal(bh_model_pod_by_name(folder->model, "shop", "a")->ips[0].ip[3], 1);
	assert_int_equal(bh_model_count_pods(folder->model), 1);
	assert_problem(folder, 0, "duplicate-object", "b.yaml",
		"Pod shop/a is also in a.yaml, which counts because its name comes first");
	assert_int_equal(unlink(path_in(folder, "a.yaml")), 0);
	assert_true(bh_manifests_rescan(folder->manifests));
	assert_int_equal(bh_model_pod_by_name(folder->model, "shop", "a")->ips[0].ip[3], 2);
	assert_int_equal(status_of(folder).n_problems, 0);
}

static void an_unknown_version_of_a_known_kind_is_named(void **state)
{
	struct folder *folder = *state;

	write_file(folder, "a.yaml",
		POD("a") "---\n{kind: NetworkPolicy, apiVersion: extensions/v1beta1, metadata: "
			 "{name: p}}\n---\n{kind: Deployment, apiVersion: apps/v1}\n");
	bh_manifests_rescan(folder->manifests);
	assert_true(has_pod(folder, "a"));
	assert_problem(folder, 0, "unknown-version", "a.yaml",
		"NetworkPolicy \"p\" has apiVersion \"extensions/v1beta1\"; only "
		"networking.k8s.io/v1 is understood, so it has no effect");
	assert_int_equal(status_of(folder).n_problems, 1);
}

static void a_policy_of_another_product_is_named(void **state)
{
	struct folder *folder = *state;

	write_file(folder, "a.yaml",
		POD("a") "---\n{kind: CiliumNetworkPolicy, apiVersion: cilium.io/v2, metadata: "
			 "{name: p, namespace: shop}}\n");
	bh_manifests_rescan(folder->manifests);
	assert_true(has_pod(folder, "a"));
	assert_problem(folder, 0, "foreign-policy", "a.yaml",
		"CiliumNetworkPolicy shop/\"p\" has apiVersion \"cilium.io/v2\"; only "
		"NetworkPolicy (networking.k8s.io/v1) or ClusterNetworkPolicy "
		"(policy.networking.k8s.io/v1alpha2) is understood, so it has no effect");
	assert_int_equal(status_of(folder).n_problems, 1);
}

static void files_that_vanish_take_their_objects_along(void **state)
{
	struct folder *folder = *state;

	write_file(folder, "a.yaml", POD("a"));
	write_file(folder, "b.yaml", POD("b"));
	bh_manifests_rescan(folder->manifests);
	assert_int_equal(unlink(path_in(folder, "a.yaml")), 0);
	assert_true(bh_manifests_rescan(folder->manifests));
	assert_false(has_pod(folder, "a"));
	assert_true(has_pod(folder, "b"));
}

static void an_object_moved_to_another_file_stays_the_same(void **state)
{
	struct folder *folder = *state;

	write_file(folder, "a.yaml", POD("a"));
	bh_manifests_rescan(folder->manifests);
	uint64_t revision = bh_model_revision(folder->model);

	assert_int_equal(rename(path_in(folder, "a.yaml"), path_in(folder, "b.yaml")), 0);
	assert_false(bh_manifests_rescan(folder->manifests));
	assert_int_equal(bh_model_revision(folder->model), revision);
}

static void what_is_not_a_file_is_named(void **state)
{
	struct folder *folder = *state;

	assert_int_equal(mkfifo(path_in(folder, "p.yaml"), 0600), 0);
	bh_manifests_rescan(folder->manifests);
	assert_problem(folder, 0, "manifest-unreadable", "p.yaml",
		"cannot be read: not a regular file; nothing of it is in force");
}

static void a_file_too_large_is_named(void **state)
{
	struct folder *folder = *state;

	write_file(folder, "a.yaml", POD("a"));
	bh_manifests_rescan(folder->manifests);
	assert_int_equal(truncate(path_in(folder, "a.yaml"), BH_MANIFEST_SIZE_MAX + 1), 0);
	bh_manifests_rescan(folder->manifests);
	assert_true(has_pod(folder, "a"));
	assert_problem(folder, 0, "manifest-unreadable", "a.yaml",
		"larger than 16777216 bytes; its last good content stays in force");
}

/* ---- The folder -------------------------------------------------------------------------------
 */

static void a_missing_folder_is_a_problem_until_it_comes(void **state)
{
	struct folder *folder = *state;
	char aside[128];

	write_file(folder, "a.yaml", POD("a"));
	bh_manifests_rescan(folder->manifests);
	snprintf(aside, sizeof(aside), "%s-aside", folder->path);
	assert_int_equal(rename(folder->path, aside), 0);
	assert_true(notices(folder));
	bh_manifests_rescan(folder->manifests);
	assert_true(has_pod(folder, "a"));
	assert_problem(folder, 0, "folder-unreadable", folder->path,
		"cannot be read: No such file or directory; what was read before stays in force");
	assert_int_equal(rename(aside, folder->path), 0);
	write_file(folder, "b.yaml", POD("b"));
	assert_true(bh_manifests_rescan(folder->manifests));
	assert_true(has_pod(folder, "b"));
	assert_int_equal(status_of(folder).n_problems, 0);
	write_file(folder, "c.yaml", POD("c"));
	assert_true(notices(folder));
}

static void notices_a_file_renamed_into_place(void **state)
{
	struct folder *folder = *state;

	bh_manifests_rescan(folder->manifests);
	write_file(folder, ".a.yaml.tmp", POD("a"));
	assert_int_equal(rename(path_in(folder, ".a.yaml.tmp"), path_in(folder, "a.yaml")), 0);
	assert_true(notices(folder));
	assert_true(bh_manifests_rescan(folder->manifests));
	assert_true(has_pod(folder, "a"));
}

static void does_not_wake_for_what_it_ignores(void **state)
{
	struct folder *folder = *state;

	bh_manifests_rescan(folder->manifests);
	write_file(folder, ".a.yaml.swp", "x");
	write_file(folder, "notes.txt", "x");
	assert_false(bh_manifests_drain(folder->manifests));
}

static void follows_a_config_map_swap(void **state)
{
	struct folder *folder = *state;

	assert_int_equal(mkdir(path_in(folder, "..1"), 0755), 0);
	assert_int_equal(mkdir(path_in(folder, "..2"), 0755), 0);
	write_file(folder, "..1/a.yaml", POD("a"));
	write_file(folder, "..2/a.yaml", POD("b"));
	assert_int_equal(symlink("..1", path_in(folder, "..data")), 0);
	assert_int_equal(symlink("..data/a.yaml", path_in(folder, "a.yaml")), 0);
	assert_true(bh_manifests_rescan(folder->manifests));
	assert_true(has_pod(folder, "a"));
	bh_manifests_drain(folder->manifests);
	assert_int_equal(symlink("..2", path_in(folder, "..data_tmp")), 0);
	assert_int_equal(rename(path_in(folder, "..data_tmp"), path_in(folder, "..data")), 0);
	assert_true(notices(folder));
	assert_true(bh_manifests_rescan(folder->manifests));
	assert_true(has_pod(folder, "b"));
	assert_false(has_pod(folder, "a"));
}

/* ---- The broker -------------------------------------------------------------------------------
 */

static void reply_to(int socket, uint32_t error, int fd)
{
	struct bh_broker_reply reply = {.error = error};
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0};
	struct iovec iov = {.iov_base = &reply, .iov_len = sizeof(reply)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};

	if (!error) {
		message.msg_control = control;
		message.msg_controllen = sizeof(control);
		struct cmsghdr *c = CMSG_FIRSTHDR(&message);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0)
		_exit(1);
}

/* A broker as proto/broker.h describes it, in a process of its own. */
static void serve(int socket, const char *path)
{
	const struct bh_opener opener = {.path = path, .broker = -1};
	char request[BH_BROKER_REQUEST_MAX + 1];
	ssize_t n;

	while ((n = recv(socket, request, sizeof(request) - 1, 0)) > 0) {
		int fd = -EINVAL;

		request[n] = '\0';
		if (request[0] == BH_BROKER_LIST)
			fd = bh_opener_list(&opener);
		else if (request[0] == BH_BROKER_INOTIFY)
			fd = bh_opener_inotify(&opener);
		else if (request[0] == BH_BROKER_OPEN && !strchr(request + 1, '/'))
			fd = bh_opener_open(&opener, request + 1);
		reply_to(socket, fd < 0 ? (uint32_t)-fd : 0, fd);
		if (fd >= 0)
			close(fd);
	}
	_exit(0);
}

static void reads_and_watches_through_a_broker(void **state)
{
	struct folder *folder = *state;
	int pair[2], result;

	bh_manifests_free(folder->manifests);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	pid_t child = fork();

	if (!child) {
		close(pair[0]);
		serve(pair[1], folder->path);
	}
	close(pair[1]);
	/* The path is for messages only. */
	assert_int_equal(
		bh_manifests_open("/nowhere", pair[0], folder->model, &folder->manifests), 0);
	write_file(folder, "a.yaml", POD("a"));
	assert_true(bh_manifests_rescan(folder->manifests));
	assert_true(has_pod(folder, "a"));
	write_file(folder, "b.yaml", POD("b"));
	assert_true(notices(folder));
	assert_true(bh_manifests_rescan(folder->manifests));
	assert_true(has_pod(folder, "b"));
	bh_manifests_free(folder->manifests);
	folder->manifests = NULL;
	assert_int_equal(waitpid(child, &result, 0), child);
	assert_int_equal(result, 0);
}

static void a_broker_that_went_away_is_a_problem(void **state)
{
	struct folder *folder = *state;
	int pair[2];

	bh_manifests_free(folder->manifests);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	close(pair[1]);
	assert_int_equal(
		bh_manifests_open(folder->path, pair[0], folder->model, &folder->manifests), 0);
	bh_manifests_rescan(folder->manifests);
	assert_problem(folder, 0, "folder-unreadable", folder->path,
		"cannot be read: Broken pipe; what was read before stays in force");
}

/* A broker that answers late must not have its answer taken for another's. */
static void a_broker_that_answers_nonsense_is_not_asked_again(void **state)
{
	struct folder *folder = *state;
	const struct bh_opener *opener;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	opener = &(const struct bh_opener){.path = folder->path, .broker = pair[0]};
	assert_int_equal(send(pair[1], "", 1, 0), 1);
	assert_int_equal(bh_opener_list(opener), -EPROTO);
	assert_int_equal(bh_opener_list(opener), -EPIPE);
	close(pair[0]);
	close(pair[1]);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/* Only then is it known what the files said, and not only what they say now. */
static void is_complete_once_everything_was_good(void **state)
{
	struct folder *folder = *state;
	char away[80];

	write_file(folder, "a.yaml", POD("a"));
	write_file(folder, "b.yaml", "kind: [");
	bh_manifests_rescan(folder->manifests);
	assert_false(bh_manifests_complete(folder->manifests));
	snprintf(away, sizeof(away), "%s.away", folder->path);
	assert_int_equal(rename(folder->path, away), 0);
	bh_manifests_rescan(folder->manifests);
	assert_false(bh_manifests_complete(folder->manifests));
	assert_int_equal(rename(away, folder->path), 0);
	write_file(folder, "b.yaml", POD("b"));
	bh_manifests_rescan(folder->manifests);
	assert_true(bh_manifests_complete(folder->manifests));
	write_file(folder, "b.yaml", "kind: [");
	bh_manifests_rescan(folder->manifests);
	assert_true(bh_manifests_complete(folder->manifests));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_FOLDER(reads_yaml_json_lists_and_documents),
		WITH_FOLDER(a_broken_file_changes_nothing_and_is_named),
		WITH_FOLDER(a_file_broken_from_the_start_holds_nothing),
		WITH_FOLDER(an_object_of_the_wrong_shape_names_line_and_field),
		WITH_FOLDER(an_object_twice_is_named_and_the_first_file_wins),
		WITH_FOLDER(an_unknown_version_of_a_known_kind_is_named),
		WITH_FOLDER(a_policy_of_another_product_is_named),
		WITH_FOLDER(files_that_vanish_take_their_objects_along),
		WITH_FOLDER(an_object_moved_to_another_file_stays_the_same),
		WITH_FOLDER(what_is_not_a_file_is_named),
		WITH_FOLDER(a_file_too_large_is_named),
		WITH_FOLDER(a_missing_folder_is_a_problem_until_it_comes),
		WITH_FOLDER(is_complete_once_everything_was_good),
		WITH_FOLDER(notices_a_file_renamed_into_place),
		WITH_FOLDER(does_not_wake_for_what_it_ignores),
		WITH_FOLDER(follows_a_config_map_swap),
		WITH_FOLDER(reads_and_watches_through_a_broker),
		WITH_FOLDER(a_broker_that_went_away_is_a_problem),
		WITH_FOLDER(a_broker_that_answers_nonsense_is_not_asked_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
