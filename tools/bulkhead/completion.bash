# SPDX-License-Identifier: Apache-2.0
#
# bash completion for bulkhead. Try it: eval "$(bulkhead completion bash)"

_bulkhead_pods() {
	"${COMP_WORDS[0]}" "${_bulkhead_instance[@]}" pods -o json 2>/dev/null |
		sed -n 's/^ *"namespace": "\(.*\)",$/\1/p; s/^ *"name": "\(.*\)",$/\1/p' |
		paste -d/ - - - - 2>/dev/null | cut -d/ -f1,2 | sort -u
}

_bulkhead() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local commands="up down wait status pods policies policy flows edges graph alerts baseline metrics explain mode quarantine
		token doctor cni completion version help"
	local command= i word
	local -a _bulkhead_instance=()

	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		if [[ $word == --run-dir ]]; then
			_bulkhead_instance=(--run-dir "${COMP_WORDS[i + 1]}")
			((i++))
		elif [[ -z $command && $word != -* ]]; then
			command=$word
		fi
	done

	case $previous in
	--run-dir | --state-dir | --manifests | --conf-dir | --bin-dir)
		COMPREPLY=($(compgen -d -- "$current"))
		return
		;;
	--role)
		COMPREPLY=($(compgen -W "reader operator" -- "$current"))
		return
		;;
	--config | --kubeconfig | --http-cert | --http-key | --export-json | --alert-webhook-secret | --alert-webhook-ca | \
		--cluster-token | --cluster-login | --cluster-ca | --from-token | --from-login | --from-ca)
		COMPREPLY=($(compgen -f -- "$current"))
		return
		;;
	--user)
		COMPREPLY=($(compgen -u -- "$current"))
		return
		;;
	--mode)
		COMPREPLY=($(compgen -W "observe dry-run enforce" -- "$current"))
		return
		;;
	--attach)
		COMPREPLY=($(compgen -W "auto tcx clsact" -- "$current"))
		return
		;;
	--xdp-generic | --hold)
		COMPREPLY=($(compgen -W "yes no" -- "$current"))
		return
		;;
	--log-level)
		COMPREPLY=($(compgen -W "error warning info debug" -- "$current"))
		return
		;;
	--from | --cluster)
		COMPREPLY=($(compgen -W "prometheus=http:// prometheus=https://" -- "$current"))
		return
		;;
	--fail)
		COMPREPLY=($(compgen -W "open closed" -- "$current"))
		return
		;;
	--verdict)
		COMPREPLY=($(compgen -W "allowed denied would-deny" -- "$current"))
		return
		;;
	--protocol)
		COMPREPLY=($(compgen -W "tcp udp sctp icmp icmpv6 igmp" -- "$current"))
		return
		;;
	--pod | -p)
		COMPREPLY=($(compgen -W "$(_bulkhead_pods)" -- "$current"))
		return
		;;
	--kind)
		COMPREPLY=($(compgen -W "new-edge first-world port-scan lateral-movement plaintext-database" -- "$current"))
		return
		;;
	--state)
		COMPREPLY=($(compgen -W "open acknowledged all" -- "$current"))
		return
		;;
	-o | --output)
		if [[ $command == graph ]]; then
			COMPREPLY=($(compgen -W "table json dot svg csv graphml" -- "$current"))
		else
			COMPREPLY=($(compgen -W "table json" -- "$current"))
		fi
		return
		;;
	esac

	if [[ -z $command ]]; then
		COMPREPLY=($(compgen -W "$commands --run-dir --help --version" -- "$current"))
		return
	fi

	local options="--run-dir --output --help"
	case $command in
	up)
		options+=" --config --state-dir --manifests --kube --kubeconfig --context --node --mode --user --attach --uplink
			--xdp-generic --map-size --hold --hold-exclude --hold-timeout --flow-active --history-days --history-size
			--http --http-cert --http-key --http-host --http-tokens --log-level --export-json --export-json-size --export-json-files
			--export-json-age --export-json-sync --export-ipfix --export-ipfix-enterprise --export-ipfix-templates
			--export-queue --metrics-series --alert-ports --alert-hosts --alert-window --alert-learn --alert-days
			--alert-webhook --alert-webhook-secret --alert-webhook-ca
			--cluster --cluster-token --cluster-login --cluster-ca --cluster-tenant --cluster-match"
		;;
	wait) options+=" --timeout" ;;
	flows)
		options+=" --follow --namespace --pod --verdict --protocol --port --since --limit"
		;;
	edges) options+=" --namespace --since --until" ;;
	graph)
		options+=" --namespace --since --until --group --expand --last --limit --label --port --protocol --verdict
			--text --compare --series --from --from-token --from-login --from-ca --from-tenant --from-match"
		;;
	alerts) options+=" --follow --namespace --kind --state" ;;
	baseline) options+=" --namespace --since" ;;
	token) options+=" --role --namespace" ;;
	policy) options+=" --since --until --modes --delete --namespace --approve --reject --undecide" ;;
	mode) options+=" --namespace --pod" ;;
	quarantine) options+=" --release" ;;
	status) options+=" --ready" ;;
	doctor) options+=" --conf-dir" ;;
	cni) options+=" --conf-dir --bin-dir --fail --timeout --keep-binary" ;;
	esac

	if [[ $current == -* ]]; then
		COMPREPLY=($(compgen -W "$options" -- "$current"))
		return
	fi
	case $command in
	mode) COMPREPLY=($(compgen -W "observe dry-run enforce clear" -- "$current")) ;;
	explain) COMPREPLY=($(compgen -W "node $(_bulkhead_pods)" -- "$current")) ;;
	quarantine) COMPREPLY=($(compgen -W "$(_bulkhead_pods)" -- "$current")) ;;
	cni) COMPREPLY=($(compgen -W "install uninstall" -- "$current")) ;;
	policy) COMPREPLY=($(compgen -W "diff suggest" -- "$current") $(compgen -f -- "$current")) ;;
	alerts) COMPREPLY=($(compgen -W "ack" -- "$current")) ;;
	baseline) COMPREPLY=($(compgen -W "show lock unlock" -- "$current")) ;;
	token) COMPREPLY=($(compgen -W "list create revoke" -- "$current")) ;;
	completion) COMPREPLY=($(compgen -W "bash" -- "$current")) ;;
	help) COMPREPLY=($(compgen -W "$commands" -- "$current")) ;;
	esac
}

complete -F _bulkhead bulkhead
