/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The folder as it was last seen: every file with its digest, the objects it held when it was last
 * good, and what is wrong with it. A rescan reads every file again, parses those whose bytes
 * changed, and then settles which object of which file counts; only that touches the model.
 */
#include <dirent.h>
#include <errno.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include "controller/model/memory.h"
#include "controller/model/table.h"
#include "controller/source/broker.h"
#include "controller/source/object.h"
#include "controller/source/source.h"
#include "controller/source/yaml.h"
#include "proto/cleanup.h"

struct file {
	char *name;
	bool seen; /* in the scan under way */
	bool read; /* the digest is of what was read last */
	uint64_t digest[2];
	size_t size;
	struct bh_object_list objects; /* of its last good content */
	struct bh_arena arena;
	char *fault;      /* why the content it has now is not in force; NULL: it is */
	const char *code; /* of the fault */
};

/* An object the model got from here. */
struct held {
	bool kept; /* by the settling under way */
	char uid[];
};

struct problem_list {
	size_t n;
	size_t capacity;
	struct bh_source_problem *items;
};

struct bh_manifests {
	struct bh_opener opener;
	char *path;
	struct bh_model *model;
	int epoll;    /* what the caller polls: inotify descriptors come and go with the folder */
	int inotify;  /* -1: no watch */
	dev_t device; /* the folder listed last */
	ino_t inode;
	struct bh_table files;
	struct bh_table held; /* by uid */
	char *folder_fault;
	bool dirty;    /* a file changed since the last settling */
	bool complete; /* the folder and every file in it were good at one time */
	uint64_t scans;
	struct problem_list problems;
	struct bh_arena arena; /* the problems' texts */
};

/* ---- Names ------------------------------------------------------------------------------------
 */

/* What editors and copying leave lying about begins with a dot or '#', or ends in '~'; it has no
 * ending of ours. */
static bool is_manifest(const char *name)
{
	static const char *const endings[] = {".yaml", ".yml", ".json"};
	size_t length = strlen(name);

	if (name[0] == '.' || name[0] == '#')
		return false;
	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t ending = strlen(endings[i]);

		if (length > ending && !strcmp(name + length - ending, endings[i]))
			return true;
	}
	return false;
}

static bool is_json(const char *name)
{
	size_t length = strlen(name);

	return length > 5 && !strcmp(name + length - 5, ".json");
}

/* ---- One file ---------------------------------------------------------------------------------
 */

static void clear_objects(struct file *file)
{
	bh_object_list_clear(&file->objects);
	bh_arena_clear(&file->arena);
}

static void free_file(struct file *file)
{
	clear_objects(file);
	free(file->fault);
	free(file->name);
	free(file);
}

static void set_fault(struct file *file, const char *code, char *text)
{
	free(file->fault);
	file->fault = text;
	file->code = code;
}

/* Where in the text a path of the document being decoded stands. */
struct place {
	const char *text;
	size_t size;
	size_t document;
};

static size_t locate(void *context, const struct bh_path *path)
{
	const struct place *place = context;

	return bh_yaml_line(place->text, place->size, place->document, path);
}

/* The text in words of one line: "line 12: …". */
static char *fault_text(size_t line, const char *text)
{
	return line ? bh_xasprintf("line %zu: %s", line, text) : bh_xstrdup(text);
}

static bool decode(const char *text, size_t size, const json_t *documents, struct bh_arena *arena,
	struct bh_object_list *objects, char **ret_fault)
{
	struct place place = {.text = text, .size = size};

	for (size_t i = 0; i < json_array_size(documents); i++) {
		struct bh_fault fault = {.locate = locate, .context = &place};

		place.document = i;
		if (bh_object_decode(json_array_get(documents, i), arena, &fault, objects))
			continue;
		*ret_fault = fault_text(fault.line, fault.text);
		return false;
	}
	return true;
}

/* New content: either all of it counts, or none, and what was there before stays. */
static void parse_file(struct file *file, const char *text, size_t size)
{
	struct bh_text_error error;
	struct bh_object_list objects = {0};
	struct bh_arena arena = {0};
	char *fault = NULL;
	json_t *documents = is_json(file->name) ? bh_json_parse(text, size, &error)
						: bh_yaml_parse(text, size, &error);

	if (!documents) {
		set_fault(file, "manifest-invalid", fault_text(error.line, error.text));
		return;
	}
	bool good = decode(text, size, documents, &arena, &objects, &fault);

	json_decref(documents);
	if (good) {
		clear_objects(file);
		file->objects = objects;
		file->arena = arena;
		set_fault(file, NULL, NULL);
		return;
	}
	bh_object_list_clear(&objects);
	bh_arena_clear(&arena);
	set_fault(file, "manifest-invalid", fault);
}

/* The whole file. -EFBIG when it is larger than it may be. */
static int read_all(int fd, char **ret_text, size_t *ret_size)
{
	_cleanup_free_ char *text = NULL;
	size_t size = 0, capacity = 0;
	struct stat st;

	if (!fstat(fd, &st) && st.st_size > 0 && st.st_size <= BH_MANIFEST_SIZE_MAX)
		capacity = (size_t)st.st_size + 1;
	else
		capacity = 64 * 1024;
	text = bh_xcalloc(capacity, 1);
	for (;;) {
		ssize_t n = read(fd, text + size, capacity - size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		size += (size_t)n;
		if (size > BH_MANIFEST_SIZE_MAX)
			return -EFBIG;
		if (!n)
			break;
		if (size == capacity) {
			capacity *= 2;
			text = bh_xreallocarray(text, capacity, 1);
		}
	}
	*ret_text = bh_take_pointer(text);
	*ret_size = size;
	return 0;
}

/* Two FNV-1a hashes of different beginnings: not against malice, whoever writes the file may write
 * anything. */
static void digest(const char *text, size_t size, uint64_t ret_digest[2])
{
	uint64_t hash[2] = {0xcbf29ce484222325, 0x9ae16a3b2f90404f};

	for (size_t i = 0; i < size; i++) {
		hash[0] = (hash[0] ^ (uint8_t)text[i]) * 0x100000001b3;
		hash[1] = (hash[1] + (uint8_t)text[i] + 1) * 0x9e3779b97f4a7c15;
	}
	memcpy(ret_digest, hash, sizeof(hash));
}

static const char *why_unreadable(int r)
{
	switch (r) {
	case -EINVAL:
		return "not a regular file";
	case -EXDEV:
		return "a link that leads out of the folder";
	}
	return strerror(-r);
}

/* False if the file is not there any more. */
static bool scan_file(struct bh_manifests *manifests, struct file *file)
{
	_cleanup_close_ int fd = bh_opener_open(&manifests->opener, file->name);
	_cleanup_free_ char *text = NULL;
	uint64_t found[2];
	size_t size = 0;
	int r = fd < 0 ? fd : read_all(fd, &text, &size);

	if (r == -ENOENT)
		return false;
	if (r < 0) {
		file->read = false;
		manifests->dirty = true;
		set_fault(file, "manifest-unreadable",
			r == -EFBIG ? bh_xasprintf("larger than %u bytes", BH_MANIFEST_SIZE_MAX)
				    : bh_xasprintf("cannot be read: %s", why_unreadable(r)));
		return true;
	}
	digest(text, size, found);
	if (file->read && file->size == size && !memcmp(file->digest, found, sizeof(found)))
		return true;
	parse_file(file, text, size);
	memcpy(file->digest, found, sizeof(found));
	file->size = size;
	file->read = true;
	manifests->dirty = true;
	return true;
}

/* ---- The folder -------------------------------------------------------------------------------
 */

static struct file *find_or_add_file(struct bh_manifests *manifests, const char *name)
{
	struct file *file = bh_table_get(&manifests->files, name, strlen(name));

	if (!file) {
		file = bh_xcalloc(1, sizeof(*file));
		file->name = bh_xstrdup(name);
		bh_table_put(&manifests->files, file->name, strlen(name), file);
		manifests->dirty = true;
	}
	return file;
}

static void drop_unseen(struct bh_manifests *manifests)
{
	struct file **gone = NULL, *file;
	size_t n = 0, capacity = 0;

	for (size_t at = 0; (file = bh_table_next(&manifests->files, &at));) {
		if (file->seen)
			continue;
		bh_xgrow(gone, n, capacity);
		gone[n++] = file;
	}
	for (size_t i = 0; i < n; i++) {
		bh_table_remove(&manifests->files, gone[i]->name, strlen(gone[i]->name));
		free_file(gone[i]);
		manifests->dirty = true;
	}
	free(gone);
}

struct names {
	size_t n;
	size_t capacity;
	char **items;
};

static void clear_names(struct names *names)
{
	for (size_t i = 0; i < names->n; i++)
		free(names->items[i]);
	free(names->items);
	*names = (struct names){0};
}

/* The manifests in the folder, and which folder it is. -errno if it cannot be listed to the end. */
static int list_folder(struct bh_manifests *manifests, struct names *names)
{
	int fd = bh_opener_list(&manifests->opener);
	struct stat st;

	if (fd < 0)
		return fd;
	if (!fstat(fd, &st)) {
		manifests->device = st.st_dev;
		manifests->inode = st.st_ino;
	}
	DIR *folder = fdopendir(fd);
	int r = 0;

	if (!folder) {
		r = -errno;
		close(fd);
		return r;
	}
	for (;;) {
		errno = 0;
		const struct dirent *entry = readdir(folder);

		if (!entry) {
			r = -errno;
			break;
		}
		if (!is_manifest(entry->d_name) || entry->d_type == DT_DIR)
			continue;
		if (names->n == BH_MANIFEST_FILES_MAX) {
			r = -E2BIG;
			break;
		}
		bh_xgrow(names->items, names->n, names->capacity);
		names->items[names->n++] = bh_xstrdup(entry->d_name);
	}
	closedir(folder);
	return r;
}

static void unwatch(struct bh_manifests *manifests)
{
	if (manifests->inotify < 0)
		return;
	close(manifests->inotify); /* which takes it out of the epoll set */
	manifests->inotify = -1;
}

/* A watch is on what the folder was when it was made; taken away with it, it is made anew. */
static int watch(struct bh_manifests *manifests)
{
	if (manifests->inotify >= 0)
		return 0;
	_cleanup_close_ int fd = bh_opener_inotify(&manifests->opener);
	struct epoll_event event = {.events = EPOLLIN};

	if (fd < 0)
		return fd;
	if (epoll_ctl(manifests->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	manifests->inotify = bh_take_fd(fd);
	return 0;
}

static void set_folder_fault(struct bh_manifests *manifests, char *text)
{
	free(manifests->folder_fault);
	manifests->folder_fault = text;
}

/* The watch first: what changes after it is noticed, what changed before is seen. */
static int scan_folder(struct bh_manifests *manifests)
{
	_cleanup_(clear_names) struct names names = {0};
	struct file *file;
	dev_t device = manifests->device;
	ino_t inode = manifests->inode;
	int watched = watch(manifests);
	int r = list_folder(manifests, &names);

	/* Another folder has come under the path: a link that was turned, a mount. */
	if (!r && (device != manifests->device || inode != manifests->inode)) {
		unwatch(manifests);
		clear_names(&names);
		watched = watch(manifests);
		r = list_folder(manifests, &names);
	}

	if (r == -E2BIG)
		set_folder_fault(manifests,
			bh_xasprintf("more than %d manifests; what was read before stays in force",
				BH_MANIFEST_FILES_MAX));
	else if (r < 0)
		set_folder_fault(manifests,
			bh_xasprintf("cannot be read: %s; what was read before stays in force",
				strerror(-r)));
	else if (watched < 0)
		set_folder_fault(
			manifests, bh_xasprintf("cannot be watched: %s; changes are found late",
					   strerror(-watched)));
	else
		set_folder_fault(manifests, NULL);
	if (r < 0) {
		/* It may be another folder when it comes back. */
		unwatch(manifests);
		return r;
	}
	for (size_t at = 0; (file = bh_table_next(&manifests->files, &at));)
		file->seen = false;
	for (size_t i = 0; i < names.n; i++) {
		file = find_or_add_file(manifests, names.items[i]);
		file->seen = scan_file(manifests, file);
	}
	drop_unseen(manifests);
	return 0;
}

/* ---- Which object counts ------------------------------------------------------------------------
 */

static void add_problem(
	struct bh_manifests *manifests, const char *code, const char *object, const char *text)
{
	struct problem_list *list = &manifests->problems;

	bh_xgrow(list->items, list->n, list->capacity);
	list->items[list->n++] = (struct bh_source_problem){code, object, text};
}

/* Who came first, by uid and by name. */
struct claims {
	struct bh_table uids;
	struct bh_table names;
};

/* True if no earlier object has this one's name or uid. Otherwise that is a problem. */
static bool claim(struct bh_manifests *manifests, struct claims *claims, struct file *file,
	const struct bh_object *object)
{
	const struct file *first = bh_table_get(&claims->names, object->name, strlen(object->name));
	const char *what = "";

	if (!first) {
		first = bh_table_get(&claims->uids, object->uid, strlen(object->uid));
		what = "the uid of ";
	}
	if (!first) {
		bh_table_put(&claims->names, object->name, strlen(object->name), file);
		bh_table_put(&claims->uids, object->uid, strlen(object->uid), file);
		return true;
	}
	const char *text =
		first == file
			? bh_arena_printf(&manifests->arena,
				  "%s%s is in this file twice; the first one counts", what,
				  object->name)
			: bh_arena_printf(&manifests->arena,
				  "%s%s is also in %s, which counts because its name comes first",
				  what, object->name, first->name);

	add_problem(manifests, "duplicate-object", file->name, text);
	return false;
}

static bool hold(struct bh_manifests *manifests, const struct bh_object *object)
{
	size_t length = strlen(object->uid);
	struct held *held = bh_table_get(&manifests->held, object->uid, length);

	if (!held) {
		held = bh_xcalloc(1, sizeof(*held) + length + 1);
		memcpy(held->uid, object->uid, length);
		bh_table_put(&manifests->held, held->uid, length, held);
	}
	held->kept = true;
	return bh_object_put(object, manifests->model);
}

/* Takes back what no file says any more. */
static bool release(struct bh_manifests *manifests)
{
	struct held **gone = NULL, *held;
	size_t n = 0, capacity = 0;
	bool changed = false;

	for (size_t at = 0; (held = bh_table_next(&manifests->held, &at));) {
		if (!held->kept) {
			bh_xgrow(gone, n, capacity);
			gone[n++] = held;
		}
		held->kept = false;
	}
	for (size_t i = 0; i < n; i++) {
		changed |= bh_model_remove(manifests->model, gone[i]->uid);
		bh_table_remove(&manifests->held, gone[i]->uid, strlen(gone[i]->uid));
		free(gone[i]);
	}
	free(gone);
	return changed;
}

static int compare_files(const void *a, const void *b)
{
	return strcmp((*(struct file *const *)a)->name, (*(struct file *const *)b)->name);
}

static size_t sorted_files(const struct bh_manifests *manifests, struct file ***ret_files)
{
	struct file **files = bh_xcalloc(manifests->files.n, sizeof(*files)), *file;
	size_t n = 0;

	for (size_t at = 0; (file = bh_table_next(&manifests->files, &at));)
		files[n++] = file;
	qsort(files, n, sizeof(*files), compare_files);
	*ret_files = files;
	return n;
}

static void note_file(struct bh_manifests *manifests, const struct file *file)
{
	if (file->fault)
		add_problem(manifests, file->code, file->name,
			bh_arena_printf(&manifests->arena, "%s; %s", file->fault,
				file->objects.n ? "its last good content stays in force"
						: "nothing of it is in force"));
	for (size_t i = 0; i < file->objects.n_foreign; i++)
		add_problem(manifests, file->objects.foreign[i].code, file->name,
			bh_arena_printf(&manifests->arena, "%s", file->objects.foreign[i].text));
}

/* Puts the difference between the files and what the model has from here into the model. */
static bool settle(struct bh_manifests *manifests)
{
	_cleanup_free_ struct file **files = NULL;
	size_t n = sorted_files(manifests, &files);
	struct claims claims = {0};
	bool changed = false;

	bh_arena_clear(&manifests->arena);
	manifests->problems.n = 0;
	if (manifests->folder_fault)
		add_problem(manifests, "folder-unreadable", manifests->path,
			bh_arena_strdup(&manifests->arena, manifests->folder_fault));
	for (size_t i = 0; i < n; i++) {
		note_file(manifests, files[i]);
		for (size_t j = 0; j < files[i]->objects.n; j++) {
			const struct bh_object *object = &files[i]->objects.items[j];

			if (claim(manifests, &claims, files[i], object))
				changed |= hold(manifests, object);
		}
	}
	bh_table_clear(&claims.names);
	bh_table_clear(&claims.uids);
	changed |= release(manifests);
	manifests->dirty = false;
	return changed;
}

/* ---- Public -----------------------------------------------------------------------------------
 */

int bh_manifests_open(
	const char *path, int broker, struct bh_model *model, struct bh_manifests **ret_manifests)
{
	struct bh_manifests *manifests = bh_xcalloc(1, sizeof(*manifests));

	manifests->path = bh_xstrdup(path);
	manifests->opener = (struct bh_opener){.path = manifests->path, .broker = broker};
	manifests->model = model;
	manifests->inotify = -1;
	manifests->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (manifests->epoll < 0) {
		int r = -errno;

		bh_manifests_free(manifests);
		return r;
	}
	*ret_manifests = manifests;
	return 0;
}

void bh_manifests_free(struct bh_manifests *manifests)
{
	struct file *file;
	struct held *held;

	if (!manifests)
		return;
	for (size_t at = 0; (file = bh_table_next(&manifests->files, &at));)
		free_file(file);
	for (size_t at = 0; (held = bh_table_next(&manifests->held, &at));)
		free(held);
	bh_table_clear(&manifests->files);
	bh_table_clear(&manifests->held);
	unwatch(manifests);
	if (manifests->epoll >= 0)
		close(manifests->epoll);
	if (manifests->opener.broker >= 0)
		close(manifests->opener.broker);
	bh_arena_clear(&manifests->arena);
	free(manifests->problems.items);
	free(manifests->folder_fault);
	free(manifests->path);
	free(manifests);
}

int bh_manifests_fd(const struct bh_manifests *manifests)
{
	return manifests->epoll;
}

/* "..data" is what a mounted ConfigMap swaps when it changes. */
static bool is_relevant(const struct inotify_event *event)
{
	if (event->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT))
		return true;
	/* IN_CREATE alone is a file still empty, or a link. */
	return event->len && (is_manifest(event->name) || !strcmp(event->name, "..data"));
}

bool bh_manifests_drain(struct bh_manifests *manifests)
{
	char buffer[16 * 1024] __attribute__((aligned(__alignof__(struct inotify_event))));
	bool relevant = false, lost = false;
	ssize_t n;

	while (manifests->inotify >= 0 &&
		(n = read(manifests->inotify, buffer, sizeof(buffer))) > 0) {
		for (const char *at = buffer; at < buffer + n;) {
			const struct inotify_event *event = (const void *)at;

			relevant |= is_relevant(event);
			lost |= (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED |
						       IN_UNMOUNT)) != 0;
			at += sizeof(*event) + event->len;
		}
	}
	if (lost)
		unwatch(manifests);
	return relevant;
}

static bool has_faulty_file(const struct bh_manifests *manifests)
{
	const struct file *file;

	for (size_t at = 0; (file = bh_table_next(&manifests->files, &at));) {
		if (file->fault)
			return true;
	}
	return false;
}

bool bh_manifests_complete(const struct bh_manifests *manifests)
{
	return manifests->complete;
}

bool bh_manifests_rescan(struct bh_manifests *manifests)
{
	_cleanup_free_ char *before =
		manifests->folder_fault ? bh_xstrdup(manifests->folder_fault) : NULL;

	if (scan_folder(manifests) == 0 && !has_faulty_file(manifests))
		manifests->complete = true;
	manifests->scans++;
	bool same_folder = !before == !manifests->folder_fault &&
			   (!before || !strcmp(before, manifests->folder_fault));

	return (manifests->dirty || !same_folder) && settle(manifests);
}

void bh_manifests_status(
	const struct bh_manifests *manifests, struct bh_manifests_status *ret_status)
{
	*ret_status = (struct bh_manifests_status){
		.path = manifests->path,
		.n_files = manifests->files.n,
		.n_objects = manifests->held.n,
		.scans = manifests->scans,
		.n_problems = manifests->problems.n,
		.problems = manifests->problems.items,
	};
}
