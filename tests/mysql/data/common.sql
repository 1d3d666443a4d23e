-- What every server of the tests can hold: types, keys, engines, partitions, names, programs, accounts.
-- Run by the server's own client, without strict mode, so that odd values go in as they are.
set names utf8mb4;
set time_zone = '+00:00';
set sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
set foreign_key_checks = 0;

create database fid character set utf8mb4 collate utf8mb4_unicode_ci;
use fid;

-- 1 .. 2000, to make rows from
create table num (n int primary key);
insert into num
with recursive s (n) as (select 1 union all select n + 1 from s where n < 1000) select n from s;
insert into num select n + 1000 from num;

create table ints (
  id int unsigned not null auto_increment primary key,
  a tinyint, b tinyint unsigned, c smallint, d smallint unsigned, e mediumint, f mediumint unsigned,
  g int, h int unsigned, i bigint, j bigint unsigned, k int(7) zerofill, l boolean, y year,
  m bit(1), n bit(9), o bit(64)
) auto_increment = 4000;
insert into ints values
  (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, b'0', b'0', b'0'),
  (1, -128, 255, -32768, 65535, -8388608, 16777215, -2147483648, 4294967295, -9223372036854775808, 18446744073709551615, 9999999, 1, 1901,
   b'1', b'111111111', 18446744073709551615),
  (2, 127, 0, 32767, 0, 8388607, 0, 2147483647, 0, 9223372036854775807, 1, 1, 0, 2155, b'0', b'100000001', 9223372036854775808),
  (4294967295, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null);
insert into ints (id, a, g, o) select n + 10, n % 128, n * -3, n << 40 from num where n <= 300;

create table reals (
  id int primary key, f float, fu float(10,3), d double, dd double(30,10), p decimal(65,30), q decimal(10,0), r decimal(5,5), s decimal(38,10)
);
insert into reals values
  (0, 0, 0, 0, 0, 0, 0, 0, 0),
  (1, 3.4028234e38, 1234567.891, 1.7976931348623157e308, 12345678901234567890.0123456789,
   99999999999999999999999999999999999.999999999999999999999999999999, 9999999999, 0.99999, 1.1),
  (2, -3.4028234e38, -1.5, -1.7976931348623157e308, -0.0000000001,
   -99999999999999999999999999999999999.999999999999999999999999999999, -9999999999, -0.99999, -1.1),
  (3, 1.17549435e-38, 0.001, 2.2250738585072014e-308, 0.1, 0.000000000000000000000000000001, 1, 0.00001, 12345678.9),
  (4, 16777217, 16777.217, 9007199254740993, 0.3, 0.1, 5, 0.5, 0),
  (5, 0.1, 0.1, 0.1, 0.1, 0.1, 1, 0.1, 0.1),
  (6, -0.0, -0.0, -0.0, -0.0, 0, 0, 0, 0),
  (7, 1.4e-45, 0, 5e-324, 0, 0, 0, 0, 0),
  (8, null, null, null, null, null, null, null, null);
insert into reals (id, f, d, p) select n + 100, sqrt(n) * 1000003, sqrt(n) / 7, n / 7 from num;

create table times (
  id int primary key, d date, t time, t3 time(3), t6 time(6), dt datetime, dt1 datetime(1), dt6 datetime(6),
  ts timestamp null default null, ts6 timestamp(6) null default null on update current_timestamp(6),
  tsd timestamp not null default current_timestamp on update current_timestamp
);
insert into times values
  (1, '0000-00-00', '-838:59:59', '-838:59:59.000', '-00:00:00.000001', '0000-00-00 00:00:00', '0000-00-00 00:00:00.0', '0000-00-00 00:00:00.000000',
   '1970-01-01 00:00:01', '1970-01-01 00:00:01.000001', '1970-01-01 00:00:01'),
  (2, '1000-01-01', '838:59:59', '838:59:58.999', '838:59:58.999999', '1000-01-01 00:00:00', '1000-01-01 00:00:00.1', '1000-01-01 00:00:00.000001',
   '2038-01-19 03:14:07', '2038-01-19 03:14:06.999999', '2024-02-29 23:59:59'),
  (3, '9999-12-31', '00:00:00', '00:00:00.5', '00:00:00.5', '9999-12-31 23:59:59', '9999-12-31 23:59:59.9', '9999-12-31 23:59:59.999999',
   '2024-10-27 00:30:00', '2024-10-27 01:30:00.123456', '2024-03-31 02:30:00'),
  (4, '2024-00-00', '-12:34:56', '-12:34:56.789', '-12:34:56.789012', '2024-01-00 10:00:00', '2023-00-01 01:01:01.5', '0000-01-01 00:00:00.5', null, null,
   '2024-01-01 00:00:00'),
  (5, null, null, null, null, null, null, null, null, null, '2024-01-01 00:00:00');
set sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';
insert into times (id, d, dt, tsd) values (6, '2023-02-30', '2023-02-31 10:00:00', '2024-01-01 00:00:00');
set sql_mode = 'NO_AUTO_VALUE_ON_ZERO';
insert into times (id, dt6, ts6, tsd)
select n + 100, '2001-01-01' + interval n * 7919 microsecond, '2001-01-01' + interval n * 104729 microsecond, '2001-01-01' + interval n minute from num;

create table texts (
  id int primary key,
  c char(10), cb char(10) binary, v varchar(300) default 'it''s "q" \\ \n', e varchar(10) not null default '',
  l1 varchar(50) character set latin1, g varchar(50) character set gbk, sj varchar(50) character set sjis, u2 varchar(50) character set ucs2,
  u16 varchar(50) character set utf16, u32 varchar(20) character set utf32, u3 varchar(50) character set utf8mb3, asc_ varchar(50) character set ascii,
  kr varchar(20) character set koi8r, bb varchar(50) collate utf8mb4_bin,
  b binary(8), vb varbinary(300), tt tinytext, tx text, mt mediumtext, lt longtext character set latin1,
  tb tinyblob, bl blob, mb mediumblob, lb longblob,
  en enum('0', 'a', 'it''s', 'back\\slash', 'ü', '日', 'co,mma'), se set('x', 'y', 'it''s', 'z-ü')
) default charset utf8mb4;
insert into texts values
  (1, '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', ''),
  (2, null, null, null, '', null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null, null),
  (3, 'abc  ', 'x ', 'NULL', '\\N', _latin1 x'80ffe90d', _gbk x'B0A15C5C', _sjis x'835C', 'ÄÖ中', '🙂x', '🙂', '中é', 'q', 'Ж', 'aÄ ',
   x'0001', x'00ff0a0d5c27221a09', 'tiny', 'line1\nline2\r\n\ttab\0nul\Z', repeat('m', 70000), x'80ff', x'00', x'1a00', x'ff', x'fbfcfdfeff', 'it''s', 'x,it''s'),
  (4, '🙂🙂', 'Ü', '日本語🙂 '' \\ " ` % _ ; -- /* */ \b', '🙂', 'é', '啊', 'ソ', 'ü', 'ü', 'ü', 'ü', 'a', 'я', 'B', x'fffefdfcfbfaf9f8', repeat(x'00', 300), 'ß', repeat('ß', 1000), '', '', '', '', '', '',
   'co,mma', 'x,y,it''s,z-ü'),
  (5, 'a', 'b', 'trailing space ', ' ', 'a ', '', '', '', '', '', '', '', '', 'b ', 'a', 'a ', 'a ', 'a ', 'a ', 'a ', '', '', '', '', 'back\\slash', '');
insert into texts (id, v, vb, tx, bl, en, se) select n + 10, concat('row ', n, ' ', repeat('ä', n % 50)), unhex(left(sha2(n, 256), 32)), repeat(left(sha2(n, 256), 40), n % 9), unhex(sha2(n, 512)), 1 + n % 7, n % 16 from num;
-- what a wrong value became: the empty text that no member is
update texts set en = 0 where id = 20;

-- characters of four bytes where servers show a question mark
create table smiles (
  id int primary key, e enum('a', '🙂', 'it''s 🙂', '?') not null default '🙂', s set('x', '🙂', 'y🙂') default '🙂', v varchar(20) default 'd🙂?',
  t text default ('t🙂'), u enum('😀', '\\🙂') character set utf16 default '😀', w varchar(20) as (concat(v, '🙂')) stored, check (v <> '🙃'), key (e)
) comment 'c🙂';
insert into smiles (id) values (1);
insert into smiles (id, e, s, u) values (2, '?', 'x,🙂', null), (3, 'it''s 🙂', 'y🙂', '\\🙂'), (4, 'a', '', '😀');

create table big (id int primary key, b longblob, t longtext);
insert into big values (1, repeat(x'00ff5c27', 7500000), null), (2, null, repeat('grüße 🙂 ', 100000)), (3, '', ''), (4, repeat('x', 16777215 - 20), 'just below'), (5, repeat('y', 16777216), 'just above');

create table js (id int primary key, j json, k json);
insert into js values (1, '{"a": 1, "b": [1, 2.5, null, true, "ü", {"t": "🙂"}], "": ""}', '[]'), (2, null, 'null'), (3, '"text \\" \\\\ \\u00e9"', '{"x": 12345678901234567890, "y": 1e300}'), (4, '0', '-1.5');

create table shapes (id int primary key, g geometry, p point, l linestring, o polygon, mp multipoint, ml multilinestring, mo multipolygon, gc geometrycollection);
insert into shapes values
  (1, st_geomfromtext('POINT(1 2)'), st_geomfromtext('POINT(-1.5 1e10)'), st_geomfromtext('LINESTRING(0 0,1 1,2 0)'), st_geomfromtext('POLYGON((0 0,0 3,3 3,3 0,0 0),(1 1,1 2,2 2,2 1,1 1))'),
   st_geomfromtext('MULTIPOINT(0 0,1 1)'), st_geomfromtext('MULTILINESTRING((0 0,1 1),(2 2,3 3))'), st_geomfromtext('MULTIPOLYGON(((0 0,0 1,1 1,1 0,0 0)))'),
   st_geomfromtext('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))')),
  (2, null, null, null, null, null, null, null, null);
create table spatial_key (id int primary key, g point not null, spatial key (g));
insert into spatial_key select n, point(n, n / 3) from num;

-- --- keys ---------------------------------------------------------------------------------------
create table no_key (a int, b varchar(20), c double);
insert into no_key select n % 10, repeat('d', n % 3), n % 4 / 3 from num where n <= 500;
insert into no_key values (null, null, null), (null, null, null);
create table unique_null (a int null, b varchar(20), unique key (a), unique key (b, a));
insert into unique_null select if(n % 3 = 0, null, n), if(n % 5 = 0, null, left(sha2(n, 256), 32)) from num where n <= 400;
create table unique_only (a varchar(20) not null, b int, unique key (a));
insert into unique_only select concat('k', n), n from num where n <= 100;
create table many_key (a int, d date, n varchar(40) collate utf8mb4_unicode_ci, z decimal(9,3), v int, primary key (n, d, a), key (v, z), key down (v desc, a), unique key (z, a, d, n));
insert into many_key select n % 20, '2020-01-01' + interval n % 90 day, concat('Näme ', n), n / 3, n % 7 from num;
create table text_key (k varchar(60) collate utf8mb4_bin primary key, v text, key (v(30)), fulltext key words (v));
insert into text_key select concat('Clé ', left(sha2(n, 256), 40)), concat('some words ', left(sha2(n, 256), 32), ' number', n) from num;
insert into text_key values ('', 'empty'), ('a', 'lower'), ('A', 'upper'), ('a b', 'space'), ('é', 'e'), ('\0', 'nul'), ('🙂', 'smile'), ('it''s \\', 'quote');
create table case_key (k varchar(20) collate utf8mb4_general_ci primary key, v int);
insert into case_key values ('alpha', 1), ('Beta', 2), ('GAMMA', 3), ('delta', 4), ('ß', 5), ('Z', 6);
create table bin_key (k varbinary(20) primary key, v int);
insert into bin_key select unhex(substr(left(sha2(n, 256), 40), 1, 2 + 2 * (n % 10))), n from num where n <= 250 on duplicate key update v = v + 1;
create table float_key (f double, v int, primary key (f));
insert into float_key select sqrt(n) - 20, n from num where n <= 300;
create table dec_key (d decimal(30,10) primary key, v int);
insert into dec_key select (n - 1000) / 7, n from num on duplicate key update v = n;
create table time_key (t datetime(6), s time(2), y year, e enum('p', 'q'), b bit(3), primary key (t, s, y, e, b));
insert into time_key select '2020-01-01' + interval n * 1001 microsecond, sec_to_time(n - 900), 1999 + n % 5, 1 + n % 2, n % 8 from num where n <= 600;
create table stamp_key (t timestamp(3) primary key default current_timestamp(3), v int);
insert into stamp_key select '2024-03-31 00:59:00' + interval n * 60 second, n from num where n <= 300;
create table sparse_key (id bigint primary key, v int);
insert into sparse_key select n * 4611686018427, n from num;
insert into sparse_key values (-9223372036854775808, -1), (9223372036854775807, 1), (0, 0), (-1, -1);
create table usparse_key (id bigint unsigned primary key, v int);
insert into usparse_key select 18446744073709551615 - n * n, n from num;
create table prefix_key (t varchar(500), b blob, v int, primary key (t(20), b(4)));
insert into prefix_key select repeat(left(sha2(n, 256), 32), 8), unhex(left(sha2(n + 1, 256), 32)), n from num where n <= 200;
create table long_rows (id int primary key, a varchar(2000), b varchar(2000), c text, d text);
insert into long_rows select n, repeat('a', n % 2000), repeat('b', 2000 - n % 2000), repeat(left(sha2(n, 256), 32), n % 100), repeat('d', n * 7 % 5000) from num where n <= 400;
create table auto_high (id bigint unsigned not null auto_increment primary key, v int) auto_increment = 1000000007;
insert into auto_high (v) values (1), (2), (3);
delete from auto_high where v = 3;
create table auto_second (a int, id int not null auto_increment, v int, primary key (a, id), key (id));
insert into auto_second (a, v) select n % 3, n from num where n <= 30;
create table auto_zero (id int not null auto_increment primary key, v int);
insert into auto_zero values (0, 0), (-5, -5), (7, 7);
create table empty_one (id int primary key, v varchar(10) not null default 'd');

-- --- columns ------------------------------------------------------------------------------------
create table gen (
  a int, b int generated always as (a * 2) virtual, id int primary key, c varchar(30) generated always as (concat('k', a)) stored,
  d int as (b + 1) virtual comment 'on a virtual one', e varchar(20), key (b), key (c), key (d)
);
insert into gen (a, id, e) select n, n, concat('e', n) from num where n <= 300;
create table hidden (id int primary key, a int invisible default 7, b int, c varchar(20) invisible);
insert into hidden (id, b) values (1, 1);
insert into hidden (id, a, b, c) values (2, 8, 2, 'seen'), (3, null, 3, null);
create table defaults (
  id int primary key, a int default (1 + 2), b varchar(40) default (concat('x', 'y')), c text default ('long default'), d json default (json_array()),
  e datetime(6) default current_timestamp(6), f varchar(30) default 'q''uo"te\\', g int default null, h bit(4) default b'101', i enum('a','b') default 'b', k date default '0000-00-00'
);
insert into defaults (id, e) values (1, '2024-01-01'), (2, '2024-01-02 00:00:00.000001');
create table checked (id int primary key, a int check (a >= 0), b int, constraint `b is small` check (b < 1000), constraint both_ check (a + b <> 13));
insert into checked values (1, 1, 1), (2, null, null);
create table commented (id int primary key comment 'it''s "the" \\ key; ü 日', v int) comment = 'a `table` with ''quotes'', \\ and 日; -- end';
insert into commented values (1, 1);
create table wide (id int primary key);
set session group_concat_max_len = 100000;
select concat('alter table wide ', group_concat('add column c', n, if(n % 2, ' int default 5', ' varchar(20) default ''w''') order by n)) into @wide from num where n <= 150;
prepare widen from @wide;
execute widen;
deallocate prepare widen;
insert into wide (id) select n from num where n <= 50;

-- --- foreign keys, one cycle, one to itself -------------------------------------------------------
create table parent (id int not null auto_increment primary key, name varchar(50), favourite int, key (favourite));
create table child (id int not null auto_increment primary key, parent_id int not null, v varchar(50), key by_parent (parent_id),
  constraint child_of foreign key (parent_id) references parent (id) on delete cascade on update cascade);
alter table parent add constraint favourite_of foreign key (favourite) references child (id) on delete set null;
create table tree (id int primary key, up int, constraint up_ foreign key (up) references tree (id));
insert into parent (id, name) select n, concat('parent ', n) from num where n <= 100;
insert into child (id, parent_id, v) select n, 1 + n % 100, left(sha2(n, 256), 40) from num where n <= 1000;
update parent set favourite = id * 10;
insert into tree select n, nullif(n div 2, 0) from num where n <= 127;
create table composite_child (a int, d date, n varchar(40) collate utf8mb4_unicode_ci, v int primary key, foreign key (n, d, a) references many_key (n, d, a));
insert into composite_child select a, d, n, row_number() over (order by n, d, a) from many_key where v = 3;
-- points to nobody: checks were off
insert into child (id, parent_id, v) values (5000, 999999, 'orphan');

-- --- partitions -----------------------------------------------------------------------------------
create table by_range (id int not null, d date not null, v varchar(60), primary key (id, d))
  partition by range (year(d)) (partition p0 values less than (2020), partition p1 values less than (2021) comment 'middle', partition p2 values less than maxvalue);
create table by_list (id int not null, r int not null, v int, primary key (id, r)) partition by list (r) (partition a values in (0, 1, 2), partition b values in (3, 4, null));
create table by_hash (id int primary key, v int) partition by hash (id) partitions 5;
create table by_key (id varchar(20) primary key, v int) partition by key (id) partitions 3;
create table by_columns (a int, b varchar(20), v int, primary key (a, b)) partition by range columns (a, b) (partition x values less than (500, 'm'), partition y values less than (maxvalue, maxvalue));
create table by_sub (id int not null, d date not null, primary key (id, d)) partition by range (to_days(d)) subpartition by hash (id) subpartitions 2
  (partition p0 values less than (to_days('2020-06-01')), partition p1 values less than maxvalue);
insert into by_range select n, '2019-06-01' + interval n day, left(sha2(n, 256), 32) from num;
insert into by_list select n, n % 5, n from num where n <= 200;
insert into by_hash select n, n from num where n <= 200;
insert into by_key select concat('k', n), n from num where n <= 200;
insert into by_columns select n, left(sha2(n, 256), 32), n from num where n <= 900;
insert into by_sub select n, '2020-01-01' + interval n day from num where n <= 400;

-- --- engines and row formats ----------------------------------------------------------------------
create table e_myisam (id int not null auto_increment primary key, v varchar(50), key (v)) engine = myisam auto_increment = 77;
insert into e_myisam (v) select left(sha2(n, 256), 32) from num where n <= 300;
create table e_myisam_nokey (a int, b varchar(5)) engine = myisam;
insert into e_myisam_nokey values (1, 'a'), (1, 'a'), (2, null);
create table e_memory (id int primary key, v varchar(50), key using btree (v)) engine = memory;
insert into e_memory select n, left(sha2(n, 256), 32) from num where n <= 100;
create table e_csv (a int not null, b varchar(30) not null) engine = csv;
insert into e_csv values (1, 'a,b'), (2, 'it''s "q"'), (3, ''), (3, '');
create table f_compressed (id int primary key, v text) row_format = compressed key_block_size = 8;
create table f_redundant (id int primary key, v text) row_format = redundant;
create table f_compact (id int primary key, v text) row_format = compact;
create table f_dynamic (id int primary key, v text) row_format = dynamic stats_persistent = 0;
insert into f_compressed select n, repeat('z', n) from num where n <= 300;
insert into f_redundant select n, repeat('y', n) from num where n <= 100;
insert into f_compact select n, repeat('x', n) from num where n <= 100;
insert into f_dynamic select n, repeat('w', n) from num where n <= 100;
create table latin (id int primary key, v varchar(50), key (v)) default charset latin1 collate latin1_german2_ci;
insert into latin values (1, 'café'), (2, _latin1 x'80ff'), (3, 'straße');

-- --- names ----------------------------------------------------------------------------------------
create table `Num` (n int primary key);
insert into `Num` values (1);
create table `select` (`from` int primary key, `where` varchar(10), `a``b` int, `c.d` int, `e'f` int, `g"h` int, ` lead` int, `ünï` int, `日本` int, `%` int, `?` int, `$` int, `\\` int, key `order` (`where`));
insert into `select` values (1, 'x', 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12);
create table `a long name, as long as a name may be, which is 64 characters..` (
  `a long column, as long as it may be, which is 64 characters too.` int primary key, v int, key `a long index, as long as it may be, which is 64 characters too..` (v));
insert into `a long name, as long as a name may be, which is 64 characters..` values (1, 1);
create table `1e5` (`0x1` int primary key);
insert into `1e5` values (1);
create database `odd ``name``, it's "ü".x%_` character set latin1;
create table `odd ``name``, it's "ü".x%_`.`back``tick 'n' "quote" . \\ ü` (`k``` int primary key, `v'` varchar(20));
insert into `odd ``name``, it's "ü".x%_`.`back``tick 'n' "quote" . \\ ü` values (1, 'it''s'), (2, 'ü');
create database `a long database name, as long as it may be: 64 characters.......`;
create table `a long database name, as long as it may be: 64 characters.......`.`a long name, as long as a name may be, which is 64 characters..` (id int primary key, v int);
insert into `a long database name, as long as it may be: 64 characters.......`.`a long name, as long as a name may be, which is 64 characters..` values (1, 10);
create database `empty-db` collate utf8mb4_bin;
create database `日本語`;
create table `日本語`.`表` (`列` int primary key, v int);
insert into `日本語`.`表` values (1, 1);
-- foreign keys between databases
create table `日本語`.far (id int primary key, p int, constraint far_key foreign key (p) references fid.parent (id));
insert into `日本語`.far select n, n from fid.num where n <= 50;

-- --- programs -------------------------------------------------------------------------------------
create view v_base as select id, a, b from gen where a % 2 = 0;
-- made before what it needs is made anew in another order
create view a_view_on_views as select v.id, p.name from v_base v join parent p on p.id = v.id;
create algorithm = merge sql security invoker view v_check (x, y) as select id, v from by_hash where v < 100 with cascaded check option;
create algorithm = temptable view v_temp as select count(*) c from num;
create definer = 'ghost'@'nohost' sql security definer view v_ghost as select 1 x;
create view `v ``odd`` 'name'` as select `from`, `a``b` from `select`;
create view v_literals as select 'it''s' a, "dq" b, '\\' c, x'00ff' d, 'ü🙂' e, date'2024-01-01' f, 1e10 g, _latin1'abc' h;
create table dropped (a int, `b ``odd` varchar(10) collate utf8mb4_bin);
create view v_broken as select d.a + 1 x, upper(d.`b ``odd`) y, p.name from dropped d join parent p on p.id = d.a where d.`b ``odd` like 'z%';
create view v_on_broken as select x, concat(y, 'é') z from v_broken;
drop table dropped;
create view `日本語`.across as select * from fid.parent;
create table trg_log (id int not null auto_increment primary key, what varchar(100), at datetime default null);
delimiter //
create trigger t_second after insert on child for each row insert into trg_log (what) values (concat('second ', new.id))//
create trigger t_first after insert on child for each row precedes t_second insert into trg_log (what) values (concat('first ', new.id))//
create trigger t_third after insert on child for each row follows t_second begin
  -- a comment; with a semicolon and 'quotes'
  if new.v is null then insert into trg_log (what) values ('null; "v"'); end if;
end//
create definer = 'ghost'@'nohost' trigger `t ``odd``` before update on parent for each row set new.name = new.name//
create trigger t_del before delete on parent for each row insert into trg_log (what) values (concat('gone ', old.id))//
create procedure p_plain(in a int, out b int, inout c varchar(20)) reads sql data sql security invoker comment 'it''s a "procedure" ü'
begin
  declare x int default 0;
  declare continue handler for not found set x = -1;
  select count(*) into x from child where id < a;
  set b = x, c = concat(c, '\\', "dq", 'ü');
end//
create function f_plain(s varchar(20) character set latin1, n decimal(10,2)) returns varchar(40) character set utf8mb4 deterministic no sql return concat('<', s, n, '>')//
create definer = 'ghost'@'nohost' procedure `p ``odd``` () begin end//
create event ev_later on schedule every 1 day starts '2035-01-01 02:00:00' ends '2036-01-01 00:00:00' on completion preserve comment 'it''s later' do delete from trg_log where what = 'x;y'//
create event ev_off on schedule at '2037-01-01 00:00:00' on completion preserve disable do begin delete from trg_log; end//
set time_zone = '+02:00'//
create event ev_zone on schedule every 90 minute starts '2035-06-01 02:00:00' do select 1//
set time_zone = '+00:00'//
set sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES'//
create procedure p_modes() select "id" || '\' from "parent"//
create view "v_modes" as select "name" || '\' as "x" from parent//
create trigger "t_modes" before insert on "tree" for each row set new."up" = new."up"//
create event "ev_modes" on schedule every 1 year starts '2035-01-01 00:00:00' do insert into "trg_log" ("what") values ('a\' || 'b')//
set sql_mode = 'NO_AUTO_VALUE_ON_ZERO'//
set names latin1//
create procedure p_latin() select 'latin' as x//
set names utf8mb4 collate utf8mb4_bin//
create function f_collated() returns varchar(10) deterministic return 'x'//
set names utf8mb4//
delimiter ;
create procedure `日本語`.`手順`() select 1;

-- --- accounts -------------------------------------------------------------------------------------
create user 'app'@'%' identified by 'app-pw';
create user 'app'@'localhost' identified by 'other-pw';
create user 'it''s "odd" ü'@'10.0.%' identified by 'p''w"\\';
create user 'locked'@'%' identified by 'x' account lock;
create user 'expired'@'%' identified by 'x' password expire;
create user 'limits'@'%' identified by 'x' with max_queries_per_hour 100 max_user_connections 3;
create user 'nopass'@'192.168.0.0/255.255.0.0';
create user 'tls'@'%' identified by 'x' require ssl;
create user 'x509'@'%' identified by 'x' require subject '/CN=its' and issuer '/CN=ca';
create user 'days'@'%' identified by 'x' password expire interval 90 day;
create role reader, writer, boss;
grant select on fid.* to reader;
grant insert, update, delete on fid.* to writer;
grant reader to boss;
grant writer to boss;
grant reader to 'app'@'%';
grant boss to 'app'@'%' with admin option;
grant select, insert, update, delete, create, drop, lock tables on `fid`.* to 'app'@'%' with grant option;
grant all on `odd ``name``, it's "ü".x%_`.* to 'app'@'localhost';
grant select on `fid\_x%`.* to 'app'@'%';
grant select (id, name), update (name), references (id) on fid.parent to 'app'@'localhost';
grant select, trigger on fid.child to 'it''s "odd" ü'@'10.0.%';
grant execute on procedure fid.p_plain to 'app'@'localhost';
grant execute, alter routine on function fid.f_plain to 'app'@'localhost' with grant option;
grant process, reload, show databases on *.* to 'limits'@'%';
