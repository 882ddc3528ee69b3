/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Bytes → YAML (or JSON, by the first byte) → objects → model → compilation → explanation. Beyond
 * not crashing and not leaking: compiling twice gives the same, and the arrays are sorted as they
 * promise.
 */
#include "controller/compile/compile.h"
#include "controller/compile/explain.h"
#include "controller/model/memory.h"
#include "controller/source/object.h"
#include "controller/source/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct bh_desired *d)
{
	const struct bh_desired_address *address, *before = NULL;
	const struct bh_desired_workload *workload, *last = NULL;

	for (struct bh_run_at at = {0}; (address = bh_desired_next_address(d, &at));
		before = address)
		require(!before || bh_ip_compare(&before->ip, &address->ip) < 0);
	for (size_t i = 1; i < d->n_endpoints; i++)
		require(strcmp(d->endpoints[i - 1].uid, d->endpoints[i].uid) < 0);
	for (size_t i = 1; i < d->n_programs; i++)
		require(d->programs[i - 1].number < d->programs[i].number);
	for (struct bh_run_at at = {0}; (workload = bh_desired_next_workload(d, &at));
		last = workload)
		require(!last || last->number < workload->number);
}

static void ask(struct bh_compiler *compiler, const struct bh_model *model)
{
	struct bh_explain_query query = {"10.0.0.1", "shop/a", 6, 80};
	struct bh_explanation *explanation;
	char *error = NULL;

	if (!bh_explain(compiler, model, &query, &explanation, &error))
		bh_explanation_free(explanation);
	free(error);
}

static void compile(struct bh_model *model)
{
	struct bh_compiler *compiler = bh_compiler_new(), *another = bh_compiler_new();
	struct bh_desired *first = bh_compile(compiler, model);
	struct bh_desired *second = bh_compile(another, model);
	const struct bh_desired_address *a, *b;

	check(first);
	require(first->addresses.n == second->addresses.n);
	for (struct bh_run_at i = {0}, j = {0}; (a = bh_desired_next_address(first, &i));) {
		b = bh_desired_next_address(second, &j);
		require(a->class == b->class);
	}
	require(first->n_endpoints == second->n_endpoints);
	for (size_t i = 0; i < first->n_endpoints; i++)
		require(first->endpoints[i].active == second->endpoints[i].active);
	ask(compiler, model);
	bh_desired_unref(first);
	bh_desired_unref(second);
	bh_compiler_free(compiler);
	bh_compiler_free(another);
}

static size_t locate(void *context, const struct bh_path *path)
{
	const char *text = context;

	return bh_yaml_line(text, strlen(text), 0, path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bh_text_error error;
	struct bh_arena arena = {0};
	struct bh_object_list list = {0};
	bool json = size && (data[0] == '{' || data[0] == '[');
	const char *text = (const char *)data;
	json_t *documents =
		json ? bh_json_parse(text, size, &error) : bh_yaml_parse(text, size, &error);

	if (!documents) {
		require(error.text[0] != '\0');
		return 0;
	}
	struct bh_model *model = bh_model_new("n1", BH_MODE_ENFORCE);
	char *copy = strndup(text, size);

	for (size_t i = 0; i < json_array_size(documents); i++) {
		struct bh_fault fault = {.locate = locate, .context = copy};

		if (!bh_object_decode(json_array_get(documents, i), &arena, &fault, &list))
			require(fault.set && fault.text[0]);
	}
	for (size_t i = 0; i < list.n; i++)
		bh_object_put(&list.items[i], model);
	if (list.n)
		require(!bh_object_put(&list.items[list.n - 1], model));
	compile(model);
	for (size_t i = 0; i < list.n; i += 2)
		bh_model_remove(model, list.items[i].uid);
	compile(model);
	bh_model_free(model);
	free(copy);
	json_decref(documents);
	bh_object_list_clear(&list);
	bh_arena_clear(&arena);
	return 0;
}
